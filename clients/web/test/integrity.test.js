/** Integrity and signatures: which files are accepted with a public key. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { before, test } from "node:test";
import { readArchive } from "../src/archive.js";
import { readBundle } from "../src/bundle.js";
import { makeKeys, makeRelease, packFile, readParts } from "./releases.js";

/** @import { Bytes, Members, Parts } from "./releases.js" */

const KEYS = makeKeys();

/** @type {Parts} */
let parts;
/** @type {Bytes} */
let signed;

before(async () => {
  parts = await readParts("plain");
  signed = await makeRelease(parts, {}, KEYS);
});

/**
 * @param {Bytes} bytes
 * @param {RegExp} message
 */
async function assertRefused(bytes, message) {
  await assert.rejects(readBundle(bytes, KEYS.publicKey), { name: "BundleError", message });
}

/**
 * Return the file with other members.
 *
 * @param {Record<string, Uint8Array | undefined>} changes content by name; undefined removes one.
 */
async function withMembers(changes) {
  /** @type {Members} */
  const members = (await readArchive(signed)).members;
  for (const [name, content] of Object.entries(changes)) {
    if (content) members.set(name, content);
    else members.delete(name);
  }
  return packFile(parts.graph, members);
}

test("a signed file is accepted with its key, and without one", async () => {
  const { model } = await readBundle(signed, KEYS.publicKey);
  assert.equal(model.sequence, 1);
  await readBundle(signed);
  await readBundle(await makeRelease(parts));
});

test("a file without a signature, or with one of another key, is refused", async () => {
  await assertRefused(await makeRelease(parts), /^The model is not signed; sign it with /);
  const foreign = await makeRelease(parts, {}, makeKeys());
  await assertRefused(foreign, /^The model is not signed with this key: /);
  const short = await withMembers({ "model.json.sig": new Uint8Array(63) });
  await assertRefused(short, /^The model is not signed with this key: /);
  const older = await makeRelease(parts, { members: undefined }, KEYS);
  await readBundle(older);
  await assertRefused(older, /is of an older version, whose files cannot be signed; export its /);
});

test("another content of a member is refused", async () => {
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  const { members } = parts;
  for (const name of ["vocabulary.json", "catalogue.jsonl", "MODEL_CARD.md"]) {
    const content = new Uint8Array(members.get(name) ?? []);
    content[content.length >> 1] ^= 1;
    const changed = await withMembers({ [name]: content });
    await assertRefused(
      changed,
      new RegExp(`\\(the hash of its ${name} differs\\); copy it again`),
    );
    await assertRefused(
      await withMembers({ [name]: undefined }),
      new RegExp(`\\(it lacks ${name}\\)`),
    );
  }
  await assertRefused(await withMembers({ extra: encode("!") }), /\(extra was added to it\)/);
  const model = await withMembers({ "model.json": encode(JSON.stringify(parts.model)) });
  await assert.rejects(readBundle(model, KEYS.publicKey), { name: "BundleError" });
  await assertRefused(await withMembers({ "model.json": encode("{") }), /is damaged \(/);
  await assertRefused(await withMembers({ "model.json": undefined }), /\(it lacks model.json\)/);
});

test("bytes between the graph and the archive, and second members, are refused", async () => {
  const { members } = await readArchive(signed);
  const longer = new Uint8Array([...parts.graph, 0, 0, 0, 0]);
  const gap = /\(it has bytes between its graph and its archive\)/;
  await assertRefused(packFile(longer, members), gap);
  const twice = [...members, ...[...members].slice(0, 1)];
  await assertRefused(packFile(parts.graph, twice), /\(it has two members of one name\)/);
});

test("a truncated file is refused", async () => {
  for (const length of [0, 1, 100, parts.graph.length, signed.length >> 1, signed.length - 1]) {
    await assertRefused(signed.slice(0, length), /^This is not a jaxrec model, or is truncated; /);
  }
});

test("a changed byte is refused, or has no effect", async () => {
  const intact = await readBundle(signed, KEYS.publicKey);
  let refused = 0;
  let count = 0;
  for (let offset = 0; offset < signed.length; offset += 41) {
    const changed = signed.slice();
    changed[offset] ^= 1 << (offset % 8);
    count += 1;
    try {
      const { sha256 } = intact;
      assert.deepEqual({ ...(await readBundle(changed, KEYS.publicKey)), sha256 }, intact);
    } catch (error) {
      assert.equal(/** @type {Error} */ (error).name, "BundleError", `${error}`);
      refused += 1;
    }
  }
  // Only times and versions in the headers of the archive have no effect.
  assert.ok(refused > count * 0.97, `${refused} of ${count}`);
});

test("a public key is the text of a PEM file of Ed25519", async () => {
  const message = /^the public key is ".*", not the text of a PEM file; give the content of /;
  for (const text of ["release.public.pem", "", KEYS.privateKey, `x${KEYS.publicKey}`]) {
    await assert.rejects(readBundle(signed, text), { name: "RangeError", message });
  }
  await assert.rejects(readBundle(signed, /** @type {any} */ (null)), { message });
  const { publicKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const { publicKey: other } = generateKeyPairSync("x25519");
  const garbled = KEYS.publicKey.replace(/MCow/, "MCov");
  for (const each of [rsa, other]) {
    const text = each.export({ type: "spki", format: "pem" });
    await assert.rejects(readBundle(signed, `${text}`), {
      name: "RangeError",
      message: /another kind/,
    });
  }
  await assert.rejects(readBundle(signed, garbled), {
    name: "RangeError",
    message: /another kind/,
  });
  await readBundle(signed, `\n${KEYS.publicKey.replaceAll("\n", "\r\n")}\n`);
});

test("a browser without Ed25519 is named in the error", async (context) => {
  context.mock.method(crypto.subtle, "importKey", async () => {
    throw new DOMException("Unrecognized name.", "NotSupportedError");
  });
  await assert.rejects(readBundle(signed, KEYS.publicKey), {
    name: "UnsupportedError",
    message:
      "This browser does not support Ed25519, which verifies signed models; use a newer one.",
  });
});
