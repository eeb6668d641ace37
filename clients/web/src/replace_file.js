/** Atomic replacement of a file, in Node.js. */

import { open, rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/**
 * Replace the content of a file: other programs read the old content or the new one, even if this one
 * is stopped meanwhile.
 *
 * @param {string | URL} file path or file: URL.
 * @param {Uint8Array} content
 * @throws {Error} the folder cannot be written; the file is as before.
 */
export async function replaceFile(file, content) {
  const path = file instanceof URL ? fileURLToPath(file) : file;
  const written = `${path}.${process.pid}.part`;
  try {
    const handle = await open(written, "w");
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(written, path);
  } catch (error) {
    await rm(written, { force: true });
    throw error;
  }
}
