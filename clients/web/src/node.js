/** The package for Node.js 20 and newer. */

import { readFileSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { isUrl } from "./fetch_file.js";
import { startRuntime } from "./litert.js";
import { checkOptions } from "./options.js";
import { Recommender as BrowserRecommender } from "./recommender.js";
import { runtimeBuild } from "./runtime_files.js";
import { UpdatableModel } from "./updatable_model.js";

/** @import { Source } from "./fetch_file.js" */
/** @import { Build, Factory } from "./litert.js" */
/** @import { LoadOptions } from "./options.js" */

export { BundleError } from "./bundle_error.js";
export { isKept, minKnownItems } from "./user_adapter.js";

const require = createRequire(import.meta.url);

/** A recommender that loads files by their path. `update` also replaces the file that was loaded. */
export class Recommender extends BrowserRecommender {
  /**
   * Load a recommender from one file, after verifying its integrity.
   *
   * @param {Source} source path of the .tflite file, its file: URL, or its content.
   * @param {Pick<LoadOptions, "publicKey">} options
   * @throws {BundleError} as in `readBundle`.
   * @throws {RangeError} `publicKey` is no Ed25519 public key.
   * @throws {Error} the file cannot be read.
   */
  static async load(source, options = {}) {
    checkOptions(options, ["publicKey"]);
    const store = isUrl(source) ? storeIn(source) : undefined;
    const host = { read: readSource, startRuntime: () => startRuntime(openBuild), store };
    return new Recommender(await UpdatableModel.load(source, host, options.publicKey));
  }
}

/** @param {Source} source */
async function readSource(source) {
  return new Uint8Array(isUrl(source) ? await readFile(source) : source);
}

/**
 * Return a function that replaces a file, also after the program has changed its folder.
 *
 * @param {string | URL} file path or file: URL.
 */
function storeIn(file) {
  const path = resolve(file instanceof URL ? fileURLToPath(file) : file);
  return (/** @type {Uint8Array} */ content) => replaceFile(path, content);
}

/**
 * Replace the content of a file: other programs read the old content or the new one, even if this one
 * is stopped meanwhile.
 *
 * @param {string} path
 * @param {Uint8Array} content
 * @throws {Error} the folder cannot be written; the file is as before.
 */
async function replaceFile(path, content) {
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

/**
 * Load the build of LiteRT that this version of Node.js runs.
 *
 * @returns {Promise<Build>}
 */
async function openBuild() {
  const name = runtimeBuild();
  const script = require.resolve(`@litertjs/core/wasm/${name}.js`);
  /** @type {{exports: unknown}} */
  const module = { exports: {} };
  // A CommonJS script in a package of ES modules, which `require` does not take for one.
  const names = ["module", "exports", "require", "__filename", "__dirname"];
  const run = compileFunction(readFileSync(script, "utf8"), names, { filename: script });
  run(module, module.exports, require, script, dirname(script));
  const wasm = await readFile(require.resolve(`@litertjs/core/wasm/${name}.wasm`));
  return {
    factory: /** @type {Factory} */ (module.exports),
    module: await WebAssembly.compile(wasm),
  };
}
