/** The package for Node.js 20 and newer. */

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { compileFunction } from "node:vm";
import { readBundle } from "./bundle.js";
import { isUrl } from "./fetch_file.js";
import { DeviceModel } from "./interpreter.js";
import { startRuntime } from "./litert.js";
import { Recommender as BrowserRecommender } from "./recommender.js";
import { runtimeBuild } from "./runtime_files.js";

/** @import { Source } from "./fetch_file.js" */
/** @import { Build, Factory } from "./litert.js" */

export { BundleError } from "./bundle.js";
export { isKept, minKnownItems } from "./user_adapter.js";

const require = createRequire(import.meta.url);

/** A recommender that loads files by their path. */
export class Recommender extends BrowserRecommender {
  /**
   * Load a recommender from one file, after verifying its integrity.
   *
   * @param {Source} source path of the .tflite file, its file: URL, or its content.
   * @throws {BundleError} as in `readBundle`.
   * @throws {Error} the file cannot be read.
   */
  static async load(source) {
    const content = isUrl(source) ? await readFile(source) : source;
    const bundle = await readBundle(new Uint8Array(content));
    const runtime = await startRuntime(openBuild);
    return new Recommender(await DeviceModel.load(runtime, bundle.graph), bundle);
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
