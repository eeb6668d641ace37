/** Checks of a file before it is used: it is complete, and signed where a public key is given. */

import { BundleError, damagedError } from "./bundle_error.js";
import { isSignedBy } from "./public_key.js";

/** @import { Archive } from "./archive.js" */
/** @import { Model } from "./bundle.js" */

export const MODEL = "model.json";
const SIGNATURE = "model.json.sig";

/**
 * Compute the SHA-256 hash of some bytes, as hexadecimal digits.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Check that the graph and the members of a file are those that its model.json describes. Older files
 * have no hashes of members.
 *
 * @param {Uint8Array<ArrayBuffer>} graph
 * @param {Archive} archive
 * @param {Model} model
 * @throws {BundleError} a part is missing, is another one, or is too much.
 */
export async function requireComplete(graph, { members, start }, model) {
  if ((await sha256(graph)) !== model.graph.sha256) {
    throw damagedError("the hash of its graph differs");
  }
  if (!model.members) return;
  for (const [name, hash] of Object.entries(model.members)) {
    const content = members.get(name);
    if (!content) throw damagedError(`it lacks ${name}`);
    if ((await sha256(content)) !== hash) throw damagedError(`the hash of its ${name} differs`);
  }
  const listed = [MODEL, SIGNATURE, ...Object.keys(model.members)];
  const other = [...members.keys()].find((name) => !listed.includes(name));
  if (other !== undefined) throw damagedError(`${other} was added to it`);
  if (start !== graph.length) {
    throw damagedError("it has bytes between its graph and its archive");
  }
}

/**
 * Check that the owner of a key signed a complete file: the signature is that of its model.json,
 * which has the hashes of all other parts.
 *
 * @param {Archive} archive
 * @param {Model} model
 * @param {CryptoKey} publicKey
 * @throws {BundleError} it has no signature, or that of another key or another file.
 */
export async function requireSigned({ members }, model, publicKey) {
  if (!model.members) {
    throw new BundleError(
      "The model is of an older version, whose files cannot be signed; export its run again.",
    );
  }
  const signature = members.get(SIGNATURE);
  const about = members.get(MODEL);
  if (!signature || !about) {
    throw new BundleError("The model is not signed; sign it with `jaxrec sign`.");
  }
  if (!(await isSignedBy(publicKey, signature, about))) {
    throw new BundleError(
      "The model is not signed with this key: its signature is of another key, or of other " +
        "content; sign it again, or give the key of its publisher.",
    );
  }
}
