/** Files of releases for tests: parts of the golden models with other fields and a signature. */

import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { readArchive } from "../src/archive.js";
import { sha256 } from "../src/integrity.js";

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {Map<string, Uint8Array>} Members content by name. */
/** @typedef {{graph: Bytes, members: Members, model: Record<string, any>}} Parts */
/** @typedef {ReturnType<typeof makeKeys>} Keys */

/** Make a pair of keys, as PEM text. */
export function makeKeys() {
  return generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}

/**
 * Read the parts of a golden model.
 *
 * @param {string} name
 * @returns {Promise<Parts>}
 */
export async function readParts(name) {
  const bytes = new Uint8Array(
    readFileSync(new URL(`../../golden/${name}.tflite`, import.meta.url)),
  );
  const { members } = await readArchive(bytes);
  const model = JSON.parse(new TextDecoder().decode(members.get("model.json")));
  return { graph: bytes.slice(0, model.graph.bytes), members, model };
}

/**
 * Make the file of a release, which is signed if there are keys.
 *
 * @param {Parts} parts
 * @param {Record<string, unknown>} fields of model.json.
 * @param {Keys} [keys]
 */
export async function makeRelease({ graph, members, model }, fields = {}, keys) {
  /** @type {Members} */
  const written = new Map(members);
  for (const name of ["model.json", "model.json.sig"]) written.delete(name);
  /** @type {Record<string, string>} */
  const hashes = {};
  for (const [name, content] of written) hashes[name] = await sha256(new Uint8Array(content));
  const about = {
    ...{ created: "2026-12-01T12:00:00Z", sequence: 1, parent: null },
    ...model,
    graph: { bytes: graph.length, sha256: await sha256(graph) },
    members: hashes,
    ...fields,
  };
  const json = new TextEncoder().encode(JSON.stringify(about));
  written.set("model.json", json);
  if (keys) written.set("model.json.sig", sign(null, json, keys.privateKey));
  return packFile(graph, written);
}

/**
 * Append an archive, of members that are not compressed, to a graph.
 *
 * @param {Uint8Array} graph
 * @param {Iterable<[string, Uint8Array]>} members
 * @returns {Bytes}
 */
export function packFile(graph, members) {
  const content = [graph];
  const directory = [];
  let at = graph.length;
  for (const [name, bytes] of members) {
    const header = Buffer.alloc(42);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt32LE(crc32(bytes), 16);
    header.writeUInt32LE(bytes.length, 20);
    header.writeUInt32LE(bytes.length, 24);
    header.writeUInt16LE(name.length, 28);
    const start = Buffer.alloc(4);
    start.writeUInt32LE(at);
    directory.push(header, start, Buffer.from(name));
    // The local header has the same fields, two bytes earlier, and ends after the lengths.
    const local = Buffer.concat([Buffer.alloc(4), header.subarray(6, 32)]);
    local.writeUInt32LE(0x04034b50);
    content.push(local, Buffer.from(name), bytes);
    at += local.length + name.length + bytes.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE([...members].length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...content, ...directory, end]));
}
