/** Ed25519 public keys as PEM text, and the signatures that they verify. */

import { UnsupportedError } from "./runtime_files.js";

/** The bytes before the raw key in a SubjectPublicKeyInfo of Ed25519. */
const PREFIX = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RAW_BYTES = 32;

/**
 * Import a public key.
 *
 * @param {string} pem text of a SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it.
 * @throws {RangeError} it is something else, or a key of another kind.
 * @throws {UnsupportedError} this browser has no Ed25519.
 */
export async function importPublicKey(pem) {
  const [, base64] =
    /^\s*-----BEGIN PUBLIC KEY-----([\w+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(pem) ?? [];
  if (base64 === undefined) {
    throw new RangeError(
      `the public key is ${JSON.stringify(`${pem}`.trim().slice(0, 30))}, not the text of a PEM ` +
        "file; give the content of the file that `jaxrec sign --new-key` wrote, -----BEGIN PUBLIC " +
        "KEY-----",
    );
  }
  const bytes = decodeBase64(base64);
  if (
    bytes.length !== PREFIX.length + RAW_BYTES ||
    PREFIX.some((each, index) => each !== bytes[index])
  ) {
    throw new RangeError(
      "the public key is of another kind; give one of Ed25519, as `jaxrec sign --new-key` writes it",
    );
  }
  try {
    return await crypto.subtle.importKey("spki", bytes, "Ed25519", false, ["verify"]);
  } catch (error) {
    throw new UnsupportedError(
      "This browser does not support Ed25519, which verifies signed models; use a newer one.",
      { cause: error },
    );
  }
}

/**
 * Check whether a signature is that of the key's owner over a message.
 *
 * @param {CryptoKey} key
 * @param {Uint8Array<ArrayBuffer>} signature 64 bytes.
 * @param {Uint8Array<ArrayBuffer>} message
 */
export function isSignedBy(key, signature, message) {
  return crypto.subtle.verify("Ed25519", key, signature, message);
}

/** @param {string} text */
function decodeBase64(text) {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, "")), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array(); // not base64: a key of no kind
  }
}
