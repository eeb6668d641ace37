/** The files of LiteRT in a browser: where they are, and how they are loaded. */

import { fetchFile, LoadError, resolveUrl } from "./fetch_file.js";

/** @import { Build, Factory } from "./litert.js" */

/** @typedef {((...values: unknown[]) => void) & {amd?: unknown}} Define AMD's function. */
/** @typedef {"litert_wasm_internal" | "litert_wasm_compat_internal"} BuildName */

/** A module with one instruction of the proposal "relaxed SIMD", which the faster build needs. */
const RELAXED_SIMD = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic number and version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type: () -> v128
  ...[0x03, 0x02, 0x01, 0x00], // one function of this type
  ...[0x0a, 0x0f, 0x01, 0x0d, 0x00, 0x41, 0x01, 0xfd, 0x0f, 0x41, 0x02, 0xfd, 0x0f], // two splats
  ...[0xfd, 0x80, 0x02, 0x0b], // i8x16.relaxed_swizzle, end
);

/** Thrown if the browser lacks a feature that the runtime needs. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/** Number of starts so far. */
let starts = 0;

/**
 * Check that this browser can verify and run a model.
 *
 * @throws {UnsupportedError}
 */
export function requireBrowserSupport() {
  const { process } = /** @type {{process?: {versions?: {node?: string}, type?: string}}} */ (
    globalThis
  );
  // The build's script takes Electron's windows for browsers too.
  if (process?.versions?.node && process.type !== "renderer") {
    throw new UnsupportedError("In Node.js, import the recommender from `jaxrec/node`.");
  }
  if (!globalThis.WebAssembly) {
    throw new UnsupportedError("This browser does not support WebAssembly, which the model needs.");
  }
  if (!globalThis.crypto?.subtle) {
    throw new UnsupportedError(
      "The model cannot be verified without a secure context: open the page over https or on " +
        "localhost.",
    );
  }
}

/**
 * Return the name of the build that this browser runs; `NAME.js` and `NAME.wasm` are its files.
 *
 * @returns {BuildName}
 */
export function runtimeBuild() {
  return WebAssembly.validate(RELAXED_SIMD)
    ? "litert_wasm_internal"
    : "litert_wasm_compat_internal";
}

/**
 * Load the build of LiteRT that this browser runs.
 *
 * @param {string | URL} [folder] URL of a copy of the folder wasm/ of `@litertjs/core`, relative to
 *     the page or the worker's script; by default the files are found beside this package, as
 *     bundlers and node_modules have them.
 * @returns {Promise<Build>}
 * @throws {LoadError} a file is missing there or is another one.
 */
export async function openBuild(folder) {
  const name = runtimeBuild();
  const { script, wasm } = folder === undefined ? defaultFiles(name) : filesIn(folder, name);
  const [factory, module] = await Promise.allSettled([importFactory(script), compileWasm(wasm)]);
  if (factory.status === "rejected") throw loadError(script, factory.reason);
  if (module.status === "rejected") throw loadError(wasm, module.reason);
  return { factory: factory.value, module: module.value };
}

/**
 * Return the URLs of a build in node_modules. Bundlers copy files only for literals of this form.
 *
 * @param {BuildName} name
 */
function defaultFiles(name) {
  try {
    return name === "litert_wasm_internal"
      ? {
          script: new URL("../../@litertjs/core/wasm/litert_wasm_internal.js", import.meta.url),
          wasm: new URL("../../@litertjs/core/wasm/litert_wasm_internal.wasm", import.meta.url),
        }
      : {
          script: new URL(
            "../../@litertjs/core/wasm/litert_wasm_compat_internal.js",
            import.meta.url,
          ),
          wasm: new URL(
            "../../@litertjs/core/wasm/litert_wasm_compat_internal.wasm",
            import.meta.url,
          ),
        };
  } catch (error) {
    // Bundles that are no ES modules have no `import.meta.url`.
    throw loadError(`${name}.js`, error);
  }
}

/**
 * @param {string | URL} folder
 * @param {BuildName} name
 */
function filesIn(folder, name) {
  const base = resolveUrl(`${folder}`.replace(/\/?$/, "/"));
  return { script: new URL(`${name}.js`, base), wasm: new URL(`${name}.wasm`, base) };
}

/**
 * Import a build's script, which registers its factory by AMD's `define` if there is one.
 *
 * `import` is the one way to load a script that windows, module workers, classic workers and pages
 * with Trusted Types allow.
 *
 * @param {URL} script
 * @returns {Promise<Factory>}
 */
async function importFactory(script) {
  const global = /** @type {{define?: Define}} */ (globalThis);
  const pageDefine = global.define;
  /** @type {Factory | undefined} */
  let factory;
  // A classic script that happens to run meanwhile is the current script; a module never is.
  const isOther = () => Boolean(globalThis.document?.currentScript);
  /** @type {Define} */
  const define = (...values) => {
    if (isOther()) pageDefine?.(...values);
    else factory = /** @type {() => Factory} */ (values[1])();
  };
  Object.defineProperty(define, "amd", { get: () => !isOther() || pageDefine?.amd });
  global.define = define;
  const url = new URL(script);
  // Browsers neither run a module twice nor fetch one again that failed: the fragment makes another.
  starts += 1;
  url.hash = `${starts}`;
  try {
    await import(/* @vite-ignore */ /* webpackIgnore: true */ url.href);
  } finally {
    if (pageDefine) global.define = pageDefine;
    else delete global.define;
  }
  if (!factory) throw new Error("it is another script");
  return factory;
}

/** @param {URL} url */
async function compileWasm(url) {
  const response = await fetchFile(url);
  // Only streamed code is cached by browsers, but a server must know the type for it.
  if (response.headers.get("content-type") === "application/wasm") {
    return WebAssembly.compileStreaming(response);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}

/**
 * @param {string | URL} url
 * @param {unknown} reason
 */
function loadError(url, reason) {
  const message = reason instanceof Error ? reason.message : `${reason}`;
  return new LoadError(
    `LiteRT cannot be loaded from ${url} (${message}); copy the folder wasm/ of @litertjs/core to ` +
      "your site and give its URL as the option `runtime`",
    { cause: reason },
  );
}
