/** The graph of a model file, with one method per signature. */

import { BundleError } from "./bundle_error.js";
import { ADAPTER, CANDIDATES, ITEMS } from "./signature.js";

/** @import { CompiledGraph } from "./compiled_graph.js" */
/** @import { Row } from "./signature.js" */

/** @typedef {Record<string, Row>} Inputs rows by the names of a signature's inputs. */

/** A graph that is ready to run. */
export class DeviceModel {
  #graph;
  #signatures;
  #zeroAdapter;

  /** @param {CompiledGraph} graph */
  constructor(graph) {
    this.#graph = graph;
    this.#signatures = graph.signatures;
    const { inputs } = this.#signatures.recommend;
    /** Inputs for a history and its features. */
    this.historyPorts = inputs.filter(({ name }) => name !== ADAPTER);
    /** Width of an adapter, D; 0 if the graph takes none. */
    this.adapterWidth = inputs.find(({ name }) => name === ADAPTER)?.length ?? 0;
    // An adapter of zeros leaves the model as it was exported.
    this.#zeroAdapter = new Float32Array(this.adapterWidth);
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
      throw new BundleError(`The model has no head "${signature}"; train a run that has it.`);
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
      throw new BundleError("The file has no signature `vectors`; export its run again.");
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
    this.#graph.close();
  }

  /**
   * @param {Inputs} inputs
   * @returns {Inputs} the inputs, with an adapter of zeros if they have none.
   */
  #withAdapter(inputs) {
    return inputs[ADAPTER] ? inputs : { ...inputs, [ADAPTER]: this.#zeroAdapter };
  }
}
