/**
 * Recommender: one .tflite file of jaxrec, ready to recommend inside the browser.
 *
 *     import { Recommender } from "./recommender.js";
 *
 *     const bytes = new Uint8Array(await (await fetch("model.tflite")).arrayBuffer());
 *     const recommender = await Recommender.load(bytes);
 *     for (const each of await recommender.recommend([1193, 661, 914], 5)) {
 *       console.log(each.item, each.title, each.score);
 *     }
 *
 * To use it in a page of your own, copy this file, bundle.js and the folder runtime/ (LiteRT.js).
 * It knows nothing of the page around it. Histories run from the oldest to the most recent item; of
 * a longer one the last N count; items that the model does not know are passed over; an empty one
 * gives the popular items. Nothing is remembered between calls, and nothing is sent anywhere.
 *
 * A model that was trained on more of an activity than its item takes `features`: by name, a value
 * for each item of the history. What is left out is unknown.
 */

import { readBundle } from "./bundle.js";
import { getGlobalLiteRt, loadAndCompile, loadLiteRt, Tensor } from "./runtime/litert.js";

/** What stands for no item, and for a value that is not known. */
const UNKNOWN = 0;

/** The input of the items' ids. */
const HISTORY = "history";

/** Where LiteRT.js finds the build that suits the browser. */
const RUNTIME = new URL("./runtime/", import.meta.url).href;

/** The browser lacks what the runtime needs. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/** The start of the runtime, shared by all models of a page. */
let runtime;

/**
 * @typedef {object} Recommendation
 * @property {number|string} item the raw item, as in the log.
 * @property {number} score higher is better; comparable within one list.
 * @property {?string} title null where the catalogue does not know it; so are genres and year.
 * @property {?string[]} genres
 * @property {?number} year
 */

/** @typedef {Record<string, number[]>} Features */

export class Recommender {
  #compiled;
  #signatures = {};
  #idOf;

  constructor(compiled, { items, catalogue, model }) {
    this.#compiled = compiled;
    for (const [name, runner] of Object.entries(compiled.signatures)) {
      this.#signatures[name] = new Signature(runner);
    }
    this.#idOf = new Map(items.map((item, index) => [item, index + 1]));
    /** `item`, `title`, `genres` and `year` of every item, the most popular first. */
    this.catalogue = catalogue;
    /** What the file says of itself: shapes, rules, figures (model.json). */
    this.model = model;
  }

  /**
   * Read everything from one file, after proving that it is whole.
   *
   * @param {Uint8Array} bytes the .tflite file.
   * @throws {BundleError} it is not ours, of another version, or damaged.
   * @throws {UnsupportedError} this browser cannot run it.
   */
  static async load(bytes) {
    if (!globalThis.WebAssembly) {
      throw new UnsupportedError("This browser has no WebAssembly, without which no model runs.");
    }
    if (!globalThis.crypto?.subtle) {
      throw new UnsupportedError("A model is checked before it runs, which needs https or localhost.");
    }
    const bundle = await readBundle(bytes);
    runtime ??= loadLiteRt(RUNTIME);
    await runtime;
    return new Recommender(await loadAndCompile(bundle.graph, { accelerator: "wasm" }), bundle);
  }

  /** How many items a call can give at the most. */
  get topK() {
    return this.model.top_k;
  }

  /** How many items of a history the model reads, N. */
  get historyLength() {
    return this.model.history_length;
  }

  /** Whether the model knows the item. */
  knows(item) {
    return this.#idOf.has(item);
  }

  /**
   * Give the k best items to come after a history, best first.
   *
   * @param {(number|string)[]} items the history, oldest first.
   * @param {number} k 1 to topK.
   * @param {Features} features
   * @returns {Promise<Recommendation[]>}
   */
  async recommend(items, k = 10, features = {}) {
    if (!(k >= 1 && k <= this.topK)) throw new RangeError(`k=${k} is not 1 to ${this.topK}`);
    const { ids, scores } = await this.#signatures.recommend.run(this.#inputs(items, features));
    return Array.from(ids.subarray(0, k), (id, index) => {
      const { item, title, genres, year } = this.catalogue[id - 1];
      return { item, score: scores[index], title, genres, year };
    });
  }

  /**
   * Give the context vector of a history, for a retrieval of one's own.
   *
   * @param {(number|string)[]} items the history, oldest first.
   * @param {Features} features
   * @returns {Promise<Float32Array>} [d].
   */
  async encode(items, features = {}) {
    return (await this.#signatures.encode.run(this.#inputs(items, features))).context;
  }

  /**
   * Give the score of each candidate after a history; an unknown one has about -1e9.
   *
   * @param {(number|string)[]} items the history, oldest first.
   * @param {(number|string)[]} candidates any number of items.
   * @param {Features} features
   * @returns {Promise<number[]>}
   */
  async score(items, candidates, features = {}) {
    const inputs = this.#inputs(items, features);
    const width = this.model.candidates;
    const scores = [];
    for (let start = 0; start < candidates.length; start += width) {
      const part = candidates.slice(start, start + width);
      const ids = new Int32Array(width);
      ids.set(part.map((item) => this.#idOf.get(item) ?? UNKNOWN));
      const found = await this.#signatures.score.run({ ...inputs, candidates: ids });
      scores.push(...found.scores.subarray(0, part.length));
    }
    return scores;
  }

  /** Free the memory of the model; it cannot be used afterwards. */
  close() {
    for (const signature of Object.values(this.#signatures)) signature.close();
    this.#compiled.delete();
  }

  /** Give the last N activities whose item the model knows, at the right end of each input. */
  #inputs(items, features) {
    const taken = this.#signatures.recommend.inputs;
    for (const [name, values] of Object.entries(features)) {
      if (name === HISTORY || !taken.has(name)) {
        const known = [...taken.keys()].filter((other) => other !== HISTORY).join(", ") || "none";
        throw new RangeError(`the model takes no feature "${name}"; it takes ${known}`);
      }
      if (values.length !== items.length) {
        throw new RangeError(`${values.length} values of "${name}" for ${items.length} items`);
      }
    }
    const places = items.map((_, place) => place).filter((place) => this.knows(items[place]));
    const last = places.slice(-this.historyLength);
    const columns = { ...features, [HISTORY]: items };
    const inputs = {};
    for (const [name, { dtype, length }] of taken) {
      inputs[name] = newRow(dtype, length);
      const values = last.map((place) => columns[name]?.[place] ?? UNKNOWN);
      const numbers = name === HISTORY ? values.map((item) => this.#idOf.get(item)) : values;
      inputs[name].set(numbers, length - last.length);
    }
    return inputs;
  }
}

/**
 * One signature as a function of rows of numbers. The runtime's memory is its own, nothing in it is
 * collected: input tensors are made once and written again, outputs are copied out and freed. Both
 * are read and written in place, which is up to a third faster than by new tensors.
 */
class Signature {
  #runner;
  #inputs;
  #outputs;
  #last = Promise.resolve();

  constructor(runner) {
    this.#runner = runner;
    const details = runner.getInputDetails();
    this.#inputs = details.map(({ name, dtype, shape }) => ({
      name,
      tensor: new Tensor(newRow(dtype, shape[1]), [...shape]),
    }));
    this.#outputs = runner.getOutputDetails();
    /** Type and length of each input, by name. */
    this.inputs = new Map(
      details.map(({ name, dtype, shape }) => [name, { dtype, length: shape[1] }]),
    );
  }

  /** Run on one typed array for each input, by name; give one for each output, by name. */
  run(rows) {
    // One call after the other: a second would write over what the first has yet to read.
    const call = this.#last.then(() => this.#call(rows));
    this.#last = call.catch(() => {});
    return call;
  }

  async #call(rows) {
    for (const { name, tensor } of this.#inputs) write(tensor, rows[name]);
    const tensors = await this.#runner.run(this.#inputs.map(({ tensor }) => tensor));
    try {
      const rowOf = ({ name, dtype, shape }, index) => [name, read(tensors[index], dtype, shape[1])];
      return Object.fromEntries(this.#outputs.map(rowOf));
    } finally {
      for (const tensor of tensors) tensor.delete();
    }
  }

  close() {
    for (const { tensor } of this.#inputs) tensor.delete();
  }
}

/** Make a typed array of zeros for a row of a tensor. */
function newRow(dtype, length) {
  return dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
}

/** Write a row of numbers into a tensor of its type. */
function write({ liteRtTensorBuffer: buffer }, row) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
  // The heap is looked up anew: it moves when it grows.
  new row.constructor(wasm.HEAPU8.buffer, address, row.length).set(row);
  buffer.unlock();
}

/** Copy a row of numbers out of a tensor. */
function read({ liteRtTensorBuffer: buffer }, dtype, length) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.READ);
  const Row = dtype === "int32" ? Int32Array : Float32Array;
  const row = new Row(wasm.HEAPU8.buffer, address, length).slice();
  buffer.unlock();
  return row;
}
