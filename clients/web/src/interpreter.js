/** The graph of a model file, run by LiteRT.js, with one method per signature. */

import { BundleError } from "./bundle.js";
import { loadAndCompile, loadLiteRt } from "@litertjs/core";
import { ADAPTER, CANDIDATES, ITEMS, Signature } from "./signature.js";

/** @import { CompiledModel } from "@litertjs/core" */
/** @import { Row } from "./signature.js" */

/** @typedef {Record<string, Row>} Inputs rows by the names of a signature's inputs. */

/** Base URL from which LiteRT.js loads the build that suits the browser. */
const RUNTIME = new URL("../runtime/", import.meta.url).href;

/** Thrown if the browser lacks a feature that the runtime needs. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/**
 * Initialization of the runtime, shared by all models of a page.
 *
 * @type {Promise<unknown> | undefined}
 */
let runtime;

/**
 * Check that this browser can verify and run a model.
 *
 * @throws {UnsupportedError}
 */
export function requireBrowserSupport() {
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

/** A graph that is ready to run. */
export class DeviceModel {
  #compiled;
  /** @type {Record<string, Signature>} by name; without a prototype, as callers choose the name. */
  #signatures = Object.create(null);
  #zeroAdapter;

  /** @param {CompiledModel} compiled */
  constructor(compiled) {
    this.#compiled = compiled;
    for (const [name, runner] of Object.entries(compiled.signatures)) {
      this.#signatures[name] = new Signature(runner);
    }
    const { inputs } = this.#signatures.recommend;
    /** Inputs for a history and its features. */
    this.historyPorts = inputs.filter(({ name }) => name !== ADAPTER);
    /** Width of an adapter, D; 0 if the graph takes none. */
    this.adapterWidth = inputs.find(({ name }) => name === ADAPTER)?.length ?? 0;
    // An adapter of zeros leaves the model as it was exported.
    this.#zeroAdapter = new Float32Array(this.adapterWidth);
  }

  /**
   * Load the runtime, on first use, and compile a graph.
   *
   * @param {Uint8Array<ArrayBuffer>} graph flatbuffer.
   */
  static async load(graph) {
    runtime ??= loadLiteRt(RUNTIME);
    await runtime;
    return new DeviceModel(await loadAndCompile(graph, { accelerator: "wasm" }));
  }

  /**
   * Return the top k items of a history, by the list that the graph computes.
   *
   * @param {Inputs} inputs
   */
  recommend(inputs) {
    return this.#signatures.recommend.run(this.#withAdapter(inputs));
  }

  /**
   * Return the query of a history, [D].
   *
   * @param {Inputs} inputs
   */
  encode(inputs) {
    const { context } = this.#signatures.encode.run(this.#withAdapter(inputs));
    return /** @type {Float32Array} */ (context);
  }

  /**
   * Return the scores of any number of candidates after a history.
   *
   * @param {Inputs} inputs
   * @param {number[]} candidates ids.
   */
  score(inputs, candidates) {
    const rows = this.#withAdapter(inputs);
    return this.#signatures.score.runOnAll(CANDIDATES, candidates, rows).scores;
  }

  /**
   * Check whether the graph has a signature.
   *
   * @param {string} signature
   */
  has(signature) {
    return signature in this.#signatures;
  }

  /**
   * Predict the outputs of a head for any number of candidates after a history.
   *
   * @param {string} signature signature of the head.
   * @param {Inputs} inputs
   * @param {number[]} candidates ids.
   * @returns {Record<string, Float32Array>[]} one entry per candidate: outputs by name.
   * @throws {BundleError} the model has no such head.
   */
  predict(signature, inputs, candidates) {
    const head = this.#signatures[signature];
    if (!head?.inputs.some(({ name }) => name === CANDIDATES)) {
      throw new BundleError(`The model has no head "${signature}": train a run that has it.`);
    }
    const rows = this.#withAdapter(inputs);
    const outputs = Object.entries(head.runOnAll(CANDIDATES, candidates, rows));
    return candidates.map((_, index) => {
      const prediction = outputs.map(([name, values]) => {
        const width = values.length / candidates.length;
        return [name, values.subarray(index * width, (index + 1) * width)];
      });
      return Object.fromEntries(prediction);
    });
  }

  /**
   * Return the embeddings and biases of any number of items.
   *
   * @param {number[]} ids
   * @returns {{vectors: Float32Array, biases: Float32Array}} row-major [n, D]; [n].
   * @throws {BundleError} the file is older than the signature `vectors`.
   */
  vectors(ids) {
    const signature = this.#signatures.vectors;
    if (!signature) {
      throw new BundleError("The file has no signature `vectors`: export its run again.");
    }
    const { vectors, biases } = signature.runOnAll(ITEMS, ids);
    return { vectors, biases };
  }

  /**
   * Learn the adapter of one user.
   *
   * @param {{activities: Int32Array, weights: Float32Array}} inputs
   */
  adapt(inputs) {
    return this.#signatures.adapt.run(inputs);
  }

  /** Free the memory of the graph; it cannot be used afterwards. */
  close() {
    for (const signature of Object.values(this.#signatures)) signature.close();
    this.#compiled.delete();
  }

  /**
   * @param {Inputs} inputs
   * @returns {Inputs} the inputs, with an adapter of zeros if they have none.
   */
  #withAdapter(inputs) {
    return inputs[ADAPTER] ? inputs : { ...inputs, [ADAPTER]: this.#zeroAdapter };
  }
}
