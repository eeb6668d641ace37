/**
 * Reader of a .tflite file of jaxrec: a flatbuffer followed by a zip archive.
 *
 * The archive contains the vocabulary (raw items), the catalogue and the model card. The browser
 * inflates the members; this module parses only the directory of the archive.
 */

import { Catalogue, packCatalogue } from "./catalogue.js";

/**
 * Version of the bundle's layout. In format 2, some keys of model.json have other names; in format 1,
 * the catalogue also is one list of entries. Any other version is an error.
 */
const FORMAT = 3;
const ENTRIES_FORMAT = 1;

const END_OF_DIRECTORY = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

/** @import { Entry } from "./catalogue.js" */
/** @import { InputFeature } from "./features.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { AdaptSettings } from "./user_adapter.js" */

/** @typedef {Record<string, number> & {"recall@10_interval": [number, number]}} Figures */

/**
 * @typedef {object} Model fields of model.json that are read here or by applications.
 * @property {number} format
 * @property {string} run
 * @property {string} encoder
 * @property {string} recipe storage format of the weights.
 * @property {number} batch_size number of histories per call, B.
 * @property {number} history_length N.
 * @property {number} top_k
 * @property {number} candidates M.
 * @property {boolean} keep_seen
 * @property {InputFeature[]} [features] features that it takes.
 * @property {number[] | null} [ratings] rating values, ascending, if it predicts ratings.
 * @property {AdaptSettings | null} [adapt] how it learns adapters, if it does.
 * @property {{bytes: number, sha256: string}} graph
 * @property {{size: number, sha256: string}} vocabulary
 * @property {{protocol: Protocol, test: Figures, baselines: Record<string, Figures>,
 *     "recall@10 through the file": number}} evaluation
 */

/**
 * @typedef {object} Protocol evaluation protocol of the metrics.
 * @property {string} dataset
 * @property {string} split
 * @property {number} test_users
 * @property {number} candidates
 * @property {boolean} excludes_history
 * @property {number} seed
 * @property {boolean} leaks_the_future
 */

/**
 * @typedef {object} Bundle parts of one file.
 * @property {Uint8Array<ArrayBuffer>} graph flatbuffer.
 * @property {RawItem[]} items raw item of each id, id i at index i - 1, [V].
 * @property {Catalogue} catalogue entry of each id, [V].
 * @property {Model} model
 */

/**
 * @typedef {object} Member location of a member of the archive.
 * @property {number} method compression method.
 * @property {number} crc CRC-32 of the content.
 * @property {number} packedBytes
 * @property {number} start offset of its header.
 */

/** Thrown for a file that is not of jaxrec, has another version, is damaged or is inconsistent. */
export class BundleError extends Error {
  name = "BundleError";
}

/**
 * Read a file and check that it is intact, before the graph is passed to the runtime.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes content of the whole .tflite file.
 * @returns {Promise<Bundle>}
 * @throws {BundleError} it is not a file of jaxrec, has another version, is damaged, or was
 *     exported for servers.
 */
export async function readBundle(bytes) {
  const members = readDirectory(bytes);
  /** @param {string} name */
  const read = (name) => readMember(bytes, members, name);
  /** @type {Model} */
  const model = JSON.parse(await read("model.json"));
  if (!(ENTRIES_FORMAT <= model.format && model.format <= FORMAT)) {
    throw new BundleError(
      `The model has format ${model.format}, this version reads ${FORMAT}; export its run again.`,
    );
  }
  if (model.batch_size > 1) {
    throw new BundleError(
      `The model takes ${model.batch_size} histories per call, for use on servers; load the ` +
        "model.tflite of the same export.",
    );
  }
  const graph = bytes.slice(0, model.graph.bytes);
  if ((await sha256(graph)) !== model.graph.sha256) {
    throw new BundleError(
      "The model is damaged (the hash of its graph differs); export its run again.",
    );
  }
  /** @type {{digest: string, values: RawItem[]}} */
  const vocabulary = JSON.parse(await read("vocabulary.json"));
  const items = vocabulary.values;
  if (vocabulary.digest !== model.vocabulary.sha256 || items.length !== model.vocabulary.size) {
    throw new BundleError("The vocabulary does not fit the model; export its run again.");
  }
  if (!items.every((item) => typeof item === "string" || Number.isSafeInteger(item))) {
    throw new BundleError(
      "The model has item ids beyond 2^53, which JavaScript cannot represent exactly; write them " +
        "as text.",
    );
  }
  const text =
    model.format === ENTRIES_FORMAT
      ? packEntries(JSON.parse(await read("catalogue.json")), items)
      : await read("catalogue.jsonl");
  const catalogue = new Catalogue(items, text);
  if (!catalogue.isComplete) throw mismatchError();
  return {
    graph,
    items,
    catalogue,
    model: model.format < FORMAT ? withCurrentNames(model) : model,
  };
}

/**
 * Return the content of an older model.json under the names of today.
 *
 * @param {any} model
 * @returns {Model}
 */
function withCurrentNames({ adapt, evaluation, ...rest }) {
  const { seen_items, ...protocol } = evaluation.protocol;
  return {
    ...rest,
    adapt: adapt && { ...adapt, held_out: adapt.held_back },
    evaluation: {
      ...evaluation,
      protocol: { ...protocol, excludes_history: seen_items === "left out" },
    },
  };
}

/**
 * Convert the list of entries of an older file to the text of a catalogue.
 *
 * @param {Entry[]} entries
 * @param {RawItem[]} items
 */
function packEntries(entries, items) {
  const fits = (/** @type {Entry} */ { id, item }, /** @type {number} */ index) =>
    id === index + 1 && item === items[index];
  if (entries.length !== items.length || !entries.every(fits)) throw mismatchError();
  return packCatalogue(entries);
}

function mismatchError() {
  return new BundleError("The catalogue does not fit the model; export its run again.");
}

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
 * Parse the archive's central directory.
 *
 * @param {Uint8Array} bytes
 * @returns {Map<string, Member>} members by name.
 */
function readDirectory(bytes) {
  const view = dataView(bytes);
  let end = bytes.length - END_BYTES;
  const first = Math.max(0, end - MAX_COMMENT_BYTES);
  while (end >= first && view.getUint32(end, true) !== END_OF_DIRECTORY) end -= 1;
  if (end < first) {
    throw new BundleError(
      "This is not a jaxrec model, or is truncated; export it with `jaxrec export`.",
    );
  }
  const members = new Map();
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count -= 1) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== ENTRY) {
      throw damagedError("directory");
    }
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(
      bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes),
    );
    members.set(name, {
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packedBytes: view.getUint32(at + 20, true),
      start: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return members;
}

/**
 * Decompress one member, check its CRC-32 and decode it as text.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {Map<string, Member>} members
 * @param {string} name
 */
async function readMember(bytes, members, name) {
  const member = members.get(name);
  if (!member) throw damagedError(name);
  const { method, crc, packedBytes, start } = member;
  if (![STORED, DEFLATED].includes(method) || start + LOCAL_HEADER_BYTES > bytes.length) {
    throw damagedError(name);
  }
  const view = dataView(bytes);
  const nameBytes = view.getUint16(start + 26, true);
  const content = start + LOCAL_HEADER_BYTES + nameBytes + view.getUint16(start + 28, true);
  let stream = new Blob([bytes.subarray(content, content + packedBytes)]).stream();
  if (method === DEFLATED) stream = stream.pipeThrough(new DecompressionStream("deflate-raw"));
  try {
    const unpacked = new Uint8Array(await new Response(stream).arrayBuffer());
    if (crc32(unpacked) !== crc) throw damagedError(name);
    return new TextDecoder().decode(unpacked);
  } catch {
    throw damagedError(name);
  }
}

/** @param {string} name */
function damagedError(name) {
  return new BundleError(
    `The model is damaged (its ${name} cannot be read); export its run again.`,
  );
}

/** @param {Uint8Array} bytes */
function dataView(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
