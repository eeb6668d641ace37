/**
 * LiteRT, started once from a WebAssembly build of `@litertjs/core`.
 *
 * The builds are used without the JavaScript of LiteRT.js: it starts once per page, requests a GPU,
 * and loads its script in ways that module workers, Node.js and pages with Trusted Types refuse. An
 * instance of this module is separate from one that the page starts by LiteRT.js itself.
 *
 * These parts of the builds are no public interface, so package.json pins their version. Of the
 * module: `LiteRtEnvironment.create`, `loadModel`, `compileModel`, `getThreadCount`, `_malloc`,
 * `_free`, `HEAPU8`, `LiteRtTensorBuffer.createManaged`, `LiteRtTensorBufferType.HOST_MEMORY`,
 * `LiteRtTensorBufferLockMode`. Of a model: `getNumSignatures`, `getSignature` with `key`,
 * `inputNames` and `outputNames`, `getInputTensorType`, `getOutputTensorType`. Of a compiled model:
 * `run`. Of a buffer: `lock`, `unlock`. Of all: `delete`. test/litert.test.js checks each.
 */

/** @typedef {import("@litertjs/core").LiteRt["liteRtWasm"]} Wasm bindings of LiteRT. */
/** @typedef {ReturnType<Wasm["LiteRtEnvironment"]["create"]>} Environment */

/** @typedef {(settings: object) => Promise<Wasm>} Factory function of a build's script. */

/**
 * @typedef {object} Build
 * @property {Factory} factory
 * @property {WebAssembly.Module} module
 */

/**
 * @typedef {object} Runtime
 * @property {Wasm} wasm
 * @property {Environment} environment
 */

/** @type {Promise<Runtime> | undefined} */
let runtime;

/**
 * Start LiteRT on the first call; later calls share it. The call after a failed one tries again.
 *
 * @param {() => Promise<Build>} openBuild
 */
export function startRuntime(openBuild) {
  runtime ??= start(openBuild).catch((error) => {
    runtime = undefined;
    throw error;
  });
  return runtime;
}

/**
 * @param {() => Promise<Build>} openBuild
 * @returns {Promise<Runtime>}
 */
async function start(openBuild) {
  const { factory, module } = await openBuild();
  /** @type {Wasm} */
  const wasm = await new Promise((resolve, reject) => {
    /**
     * @param {WebAssembly.Imports} imports
     * @param {(instance: WebAssembly.Instance, module: WebAssembly.Module) => void} receive
     */
    const instantiateWasm = (imports, receive) => {
      WebAssembly.instantiate(module, imports).then(
        (instance) => receive(instance, module),
        reject,
      );
      return {};
    };
    factory({ instantiateWasm, printErr: logError }).then(resolve, reject);
  });
  return { wasm, environment: wasm.LiteRtEnvironment.create(null) };
}

/**
 * Log an error of LiteRT. It prints its other messages in the same way, on accelerators that files
 * of jaxrec do not use.
 *
 * @param {string} message
 */
function logError(message) {
  if (!/^(INFO|VERBOSE|WARNING):/.test(message)) console.error(message);
}
