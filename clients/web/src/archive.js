/**
 * Reader of a zip archive at the end of a file. The browser inflates the members; this module parses
 * only the directory of the archive.
 */

import { BundleError, damagedError } from "./bundle_error.js";

const END_OF_DIRECTORY = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

/**
 * @typedef {object} Location of a member of the archive.
 * @property {string} name
 * @property {number} method compression method.
 * @property {number} crc CRC-32 of the content.
 * @property {number} packedBytes
 * @property {number} start offset of its header.
 */

/**
 * @typedef {object} Archive
 * @property {Map<string, Uint8Array<ArrayBuffer>>} members content of each member by its name.
 * @property {number} start offset of the first member in the file.
 */

/**
 * Read all members of an archive, and check their CRC-32.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes content of the whole file.
 * @returns {Promise<Archive>}
 * @throws {BundleError} there is no archive, or it is damaged.
 */
export async function readArchive(bytes) {
  /** @type {Archive} */
  const archive = { members: new Map(), start: bytes.length };
  for (const location of readDirectory(bytes)) {
    if (archive.members.has(location.name)) throw damagedError("it has two members of one name");
    archive.members.set(location.name, await readMember(bytes, location));
    archive.start = Math.min(archive.start, location.start);
  }
  return archive;
}

/**
 * Parse the archive's central directory.
 *
 * @param {Uint8Array} bytes
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
  /** @type {Location[]} */
  const locations = [];
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count -= 1) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== ENTRY) {
      throw damagedError("its directory cannot be read");
    }
    const nameBytes = view.getUint16(at + 28, true);
    locations.push({
      name: new TextDecoder().decode(
        bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes),
      ),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packedBytes: view.getUint32(at + 20, true),
      start: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return locations;
}

/**
 * Decompress one member, and check its CRC-32.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {Location} location
 */
async function readMember(bytes, { name, method, crc, packedBytes, start }) {
  const unreadable = damagedError(`its ${name} cannot be read`);
  if (![STORED, DEFLATED].includes(method) || start + LOCAL_HEADER_BYTES > bytes.length) {
    throw unreadable;
  }
  const view = dataView(bytes);
  const nameBytes = view.getUint16(start + 26, true);
  const content = start + LOCAL_HEADER_BYTES + nameBytes + view.getUint16(start + 28, true);
  let stream = new Blob([bytes.subarray(content, content + packedBytes)]).stream();
  if (method === DEFLATED) stream = stream.pipeThrough(new DecompressionStream("deflate-raw"));
  try {
    const unpacked = new Uint8Array(await new Response(stream).arrayBuffer());
    if (crc32(unpacked) === crc) return unpacked;
  } catch {
    // The compressed bytes are not valid.
  }
  throw unreadable;
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
