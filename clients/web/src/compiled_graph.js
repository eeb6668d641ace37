/** A graph that LiteRT has compiled, as a collection of signatures. */

import { Signature } from "./signature.js";

/** @import { Runtime } from "./litert.js" */

/** A compiled graph. The runtime's memory is not garbage-collected: `close` frees it. */
export class CompiledGraph {
  #free;

  /**
   * @param {Record<string, Signature>} signatures
   * @param {() => void} free
   */
  constructor(signatures, free) {
    /** Signatures by name. */
    this.signatures = signatures;
    this.#free = free;
  }

  /**
   * Compile a graph for the processor.
   *
   * @param {Runtime} runtime
   * @param {Uint8Array} graph flatbuffer.
   */
  static async compile(runtime, graph) {
    const { wasm, environment } = runtime;
    const address = wasm._malloc(graph.length);
    const cleanup = [() => wasm._free(address)];
    const free = () => {
      while (cleanup.length) cleanup.pop()?.();
    };
    try {
      wasm.HEAPU8.set(graph, address);
      const model = wasm.loadModel(environment, address, graph.length);
      cleanup.push(() => model.delete());
      const options = {
        environment,
        accelerator: /** @type {const} */ ("wasm"),
        cpuOptions: { numThreads: wasm.getThreadCount() },
        gpuOptions: {},
        webNNOptions: {},
      };
      const compiled = await wasm.compileModel(environment, model, options);
      cleanup.push(() => compiled.delete());
      /** @type {Record<string, Signature>} */
      const signatures = Object.create(null); // without a prototype, as callers name heads
      for (let index = 0; index < model.getNumSignatures(); index += 1) {
        const signature = new Signature(runtime, model, compiled, index);
        signatures[signature.name] = signature;
      }
      return new CompiledGraph(signatures, free);
    } catch (error) {
      free();
      throw error;
    }
  }

  /** Free the memory of the graph; it cannot be used afterwards. */
  close() {
    for (const signature of Object.values(this.signatures)) signature.close();
    this.#free();
  }
}
