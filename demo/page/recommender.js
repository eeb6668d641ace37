/**
 * Recommender: loads a .tflite file of jaxrec and recommends inside the browser.
 *
 *     import { Recommender } from "./recommender.js";
 *
 *     const bytes = new Uint8Array(await (await fetch("model.tflite")).arrayBuffer());
 *     const recommender = await Recommender.load(bytes);
 *     for (const each of await recommender.recommend([1193, 661, 914], 5)) {
 *       console.log(each.item, each.title, each.score);
 *     }
 *
 * To use it in another page, copy this file, known.js, features.js, adapter.js, signature.js,
 * bundle.js, catalogue.js and the folder runtime/ (LiteRT.js). It does not depend on the rest of
 * the page and sends no data anywhere.
 *
 * Histories are ordered from the oldest to the most recent item. The model reads the last N known
 * items. Unknown items are skipped, but a history must have at least one known item or be empty; an
 * empty history gives the popular items. No state is kept between calls.
 *
 * Lists exclude every item of the whole history, unless the file keeps seen items (--keep-seen). A
 * list has k entries if enough items are left. Where the file's own list of topK items is too
 * short, because k is larger or many items are excluded, every item is scored, which takes longer.
 *
 * A model that was trained with features takes `features`: by name, a value for each item of the
 * history, or one value for the user or the moment. Values are raw: those of the log, or the
 * seconds from each activity to now. Missing values, null, NaN and values not seen in training are
 * unknown.
 */

import { activitiesOf, adapterOf, requireFit } from "./adapter.js";
import { BundleError, readBundle } from "./bundle.js";
import { KnownFeatures } from "./features.js";
import { KnownItems, listOf, NO_ITEM } from "./known.js";
import { loadAndCompile, loadLiteRt } from "./runtime/litert.js";
import { Signature } from "./signature.js";

/** Base URL from which LiteRT.js loads the build that suits the browser. */
const RUNTIME = new URL("./runtime/", import.meta.url).href;

/** Name of the input for a user's adapter. */
const ADAPTER = "adapter";

/** Thrown when the browser lacks a feature that the runtime needs. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/**
 * Initialization of the runtime, shared by all models of a page.
 *
 * @type {Promise<unknown> | undefined}
 */
let runtime;

/** @typedef {import("./bundle.js").Item} Item */

/** @typedef {import("./features.js").Features} Features */

/** @typedef {import("./adapter.js").Adapter} Adapter */

/**
 * @typedef {object} Recommendation
 * @property {Item} item raw item, as in the log.
 * @property {number} score higher is better; comparable within one list only.
 * @property {string | null} title null if missing from the catalogue; likewise genres and year.
 * @property {string[] | null} genres
 * @property {number | null} year
 */

/**
 * @typedef {object} Rating predicted rating of an item by a user.
 * @property {Item} item raw item, as in the log.
 * @property {number} expected mean of the ratings, weighted by their probabilities.
 * @property {Map<number, number>} atLeast for each rating of the log, in ascending order, the
 *     probability of that rating or a higher one.
 */

/**
 * @typedef {object} EncodedRequest one history, encoded as inputs of the graph.
 * @property {Record<string, import("./signature.js").Row>} inputs
 * @property {Set<number>} excluded ids that the list must not contain.
 */

/** Recommends by raw items; see the head of this file for the rules. */
export class Recommender {
  #compiled;
  /** @type {Record<string, Signature>} */
  #signatures = {};
  #known;
  #knownFeatures;
  #zeroAdapter;
  /** @type {Promise<Float32Array[]> | undefined} unit item embeddings, computed on first use. */
  #unitVectors;

  /**
   * @param {import("./runtime/litert.js").CompiledModel} compiled
   * @param {import("./bundle.js").Bundle} bundle
   */
  constructor(compiled, { items, catalogue, model }) {
    this.#compiled = compiled;
    for (const [name, runner] of Object.entries(compiled.signatures)) {
      this.#signatures[name] = new Signature(runner);
    }
    this.#known = new KnownItems(items);
    /** Raw items that the model knows, the most popular first, [V]. */
    this.items = items;
    /** `item`, `title`, `genres` and `year` of each item, ordered as `items`, [V]; read by `at`. */
    this.catalogue = catalogue;
    /** Model card (model.json): shapes, rules and metrics. */
    this.model = model;
    /** Features that the model takes; model.json of older files has no such field. */
    this.features = model.features ?? [];
    this.#knownFeatures = new KnownFeatures(this.features);
    const { inputs } = this.#signatures.recommend;
    this.#zeroAdapter = new Float32Array(inputs.find(({ name }) => name === ADAPTER)?.length ?? 0);
  }

  /**
   * Load a model from the bytes of one file, after checking that the file is intact.
   *
   * @param {Uint8Array<ArrayBuffer>} bytes content of the .tflite file.
   * @throws {BundleError} it is not a file of jaxrec, has another version, is damaged, or was made
   *     for servers (batch size above 1).
   * @throws {UnsupportedError} this browser cannot run it.
   */
  static async load(bytes) {
    if (!globalThis.WebAssembly) {
      throw new UnsupportedError("This browser has no WebAssembly, without which no model runs.");
    }
    if (!globalThis.crypto?.subtle) {
      throw new UnsupportedError(
        "A model is checked before it runs: that needs https or localhost.",
      );
    }
    const bundle = await readBundle(bytes);
    if (bundle.model.batch_size > 1) {
      throw new BundleError(
        `The model takes ${bundle.model.batch_size} histories a call, as servers do: give the ` +
          "model.tflite that was made with it.",
      );
    }
    runtime ??= loadLiteRt(RUNTIME);
    await runtime;
    return new Recommender(await loadAndCompile(bundle.graph, { accelerator: "wasm" }), bundle);
  }

  /** Number of items in the list that the graph itself computes. */
  get topK() {
    return this.model.top_k;
  }

  /** Number of history items that the model reads, N. */
  get historyLength() {
    return this.model.history_length;
  }

  /**
   * Check whether the model knows an item.
   *
   * @param {Item} item
   */
  knows(item) {
    return this.#known.idOf(item) !== NO_ITEM;
  }

  /**
   * Return the catalogue entry of an item, or undefined if the model does not know it.
   *
   * @param {Item} item
   */
  describe(item) {
    return this.knows(item) ? this.catalogue.at(this.#known.idOf(item) - 1) : undefined;
  }

  /**
   * Return the k best next items after a history, best first; ties keep the order of `items`.
   *
   * @param {Iterable<Item>} items history.
   * @param {number} k 1 to V.
   * @param {{exclude?: Iterable<Item>, candidates?: Iterable<Item>, features?: Features,
   *     adapter?: Adapter}} options `exclude`: items to exclude in addition to the history;
   *     `candidates`: the only items to rank, by default all; `adapter`: as returned by `adapt`.
   * @returns {Promise<Recommendation[]>}
   * @throws {TypeError} an argument is not a list where one is needed, or an option does not exist.
   * @throws {RangeError} k is out of range, no item of the history or no candidate is known, or the
   *     features or the adapter do not fit the model.
   */
  async recommend(items, k = 10, options = {}) {
    checkOptions(options, ["exclude", "candidates", "features", "adapter"]);
    this.#checkCount(k);
    const request = this.#withAdapter(
      this.#prepare(items, options.features, options.exclude),
      options.adapter,
    );
    if (options.candidates === undefined) return this.#rankAll(request, k);
    return this.#rank(this.#known.someIdsOf(options.candidates, "candidates"), request, k);
  }

  /**
   * Return the recommendations for each of several histories.
   *
   * @param {Iterable<Iterable<Item>>} histories
   * @param {number} k 1 to V.
   * @param {{exclude?: Iterable<Iterable<Item>>, features?: Iterable<Features>}} options one entry
   *     per history.
   * @returns {Promise<Recommendation[][]>}
   * @throws {TypeError|RangeError} as in `recommend`; the message has the index of the history.
   */
  async recommendMany(histories, k = 10, options = {}) {
    checkOptions(options, ["exclude", "features"]);
    this.#checkCount(k);
    const all = listOf(histories, "histories");
    const exclude = onePerHistory("exclude", options.exclude, all.length);
    const features = onePerHistory("features", options.features, all.length);
    const requests = all.map((items, number) =>
      this.#prepare(items, features[number], exclude[number], ` of histories[${number}]`),
    );
    return requests.map((each) => this.#rankAll(each, k));
  }

  /**
   * Return the k items whose embeddings are most similar to an item's, without the item itself.
   *
   * @param {Item} item
   * @param {number} k 1 to V.
   * @returns {Promise<Recommendation[]>} scores are the cosines of the embeddings, -1 to 1.
   * @throws {RangeError} k is out of range, or the item is unknown.
   * @throws {BundleError} the file is an older one, without item embeddings.
   */
  async similar(item, k = 10) {
    this.#checkCount(k);
    const own = this.#known.knownIdOf(item);
    this.#unitVectors ??= this.vectors().then(({ vectors }) =>
      unitVectors(vectors, this.items.length),
    );
    const rows = await this.#unitVectors;
    const others = this.#known.ids.filter((id) => id !== own);
    const cosines = others.map((id) => dot(rows[id - 1], rows[own - 1]));
    return this.#toRecommendations(topRanked(others, cosines, k));
  }

  /**
   * Fit an adapter to a user's history, of which the last M known items are read.
   *
   * The last of these are held out: the adapter learned from the others is kept only if it makes
   * them more likely; otherwise it is all zeros. The call takes as long as several hundred calls of
   * `recommend`, so run it in a worker (adapter_worker.js). Repeat it when the history has grown.
   *
   * @param {Iterable<Item>} items history.
   * @param {{weights?: Iterable<number>}} options weight of each item, 0 or more; by default
   *     older items have smaller weights.
   * @returns {Promise<Adapter>}
   * @throws {BundleError} the file was converted without --adapt.
   * @throws {TypeError|RangeError} too few items are known, or the weights are invalid.
   */
  async adapt(items, options = {}) {
    checkOptions(options, ["weights"]);
    const { adapt, graph } = this.model;
    if (!adapt) {
      throw new BundleError("The model cannot learn of a user: convert its run with --adapt.");
    }
    const ids = this.#known.someIdsOf(items, "items");
    return adapterOf(
      graph.sha256,
      this.#signatures.adapt.run(activitiesOf(ids, options.weights, adapt)),
    );
  }

  /**
   * Return the query vector of a history, for use in another retrieval system.
   *
   * @param {Iterable<Item>} items history.
   * @param {{features?: Features, adapter?: Adapter}} options
   * @returns {Promise<Float32Array>} [D].
   * @throws {TypeError|RangeError} as in `recommend`.
   */
  async encode(items, options = {}) {
    checkOptions(options, ["features", "adapter"]);
    const { inputs } = this.#withAdapter(this.#prepare(items, options.features), options.adapter);
    return /** @type {Float32Array} */ (this.#signatures.encode.run(inputs).context);
  }

  /**
   * Return the score of each candidate after a history, about -1e9 for an unknown candidate.
   *
   * @param {Iterable<Item>} items history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features, adapter?: Adapter}} options
   * @returns {Promise<number[]>}
   * @throws {TypeError|RangeError} as in `recommend`, but all candidates may be unknown.
   */
  async score(items, candidates, options = {}) {
    checkOptions(options, ["features", "adapter"]);
    const ids = this.#known.idsOf(candidates, "candidates");
    const request = this.#withAdapter(this.#prepare(items, options.features), options.adapter);
    return Array.from(this.#scores(ids, request));
  }

  /**
   * Predict the rating of each candidate after a history; null for an unknown candidate.
   *
   * @param {Iterable<Item>} items history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features}} options
   * @returns {Promise<(Rating | null)[]>}
   * @throws {BundleError} the model has no rating head.
   * @throws {TypeError|RangeError} as in `score`.
   */
  async rate(items, candidates, options = {}) {
    if (!this.#signatures.rate) {
      throw new BundleError("The model predicts no ratings: train one with --rate.");
    }
    const raw = listOf(candidates, "candidates");
    const predictions = await this.predict("rate", items, raw, options);
    const [lowest, ...others] = this.model.ratings ?? [];
    return predictions.map((each, place) => {
      if (each === null) return null;
      // The graph omits the lowest rating: the probability of at least that rating is always 1.
      const atLeast = new Map([[lowest, 1]]);
      for (const [index, rating] of others.entries()) atLeast.set(rating, each.at_least[index]);
      return { item: raw[place], expected: each.ratings[0], atLeast };
    });
  }

  /**
   * Predict a head's outputs for each candidate after a history; null for an unknown candidate.
   *
   * @param {string} signature signature of the head.
   * @param {Iterable<Item>} items history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features}} options
   * @returns {Promise<(Record<string, Float32Array> | null)[]>} outputs of the head by name.
   * @throws {BundleError} the model has no such head.
   * @throws {TypeError|RangeError} as in `score`.
   */
  async predict(signature, items, candidates, options = {}) {
    checkOptions(options, ["features"]);
    const head = this.#signatures[signature];
    if (!head?.inputs.some(({ name }) => name === "candidates")) {
      throw new BundleError(`The model has no head "${signature}": train one that has.`);
    }
    const ids = this.#known.idsOf(candidates, "candidates");
    const { inputs } = this.#prepare(items, options.features);
    const outputs = Object.entries(head.runOnAll("candidates", ids, inputs));
    return ids.map((id, place) => {
      if (id === NO_ITEM) return null;
      const ofOne = outputs.map(([name, values]) => {
        const width = values.length / ids.length;
        return [name, values.subarray(place * width, (place + 1) * width)];
      });
      return Object.fromEntries(ofOne);
    });
  }

  /**
   * Return the embedding and the bias of each item, in the order of `items`. A score is the dot
   * product of an item's embedding and the query of a history, plus the item's bias.
   *
   * @returns {Promise<{vectors: Float32Array, biases: Float32Array}>} row-major
   *     [V, D] as one array of V * D numbers; [V].
   * @throws {BundleError} the file is an older one, without item embeddings.
   */
  async vectors() {
    const signature = this.#signatures.vectors;
    if (!signature) throw new BundleError("The model has no item vectors: convert its run again.");
    const { vectors, biases } = signature.runOnAll("items", this.#known.ids);
    return { vectors, biases };
  }

  /** Free the model's memory; it cannot be used afterwards. */
  close() {
    for (const signature of Object.values(this.#signatures)) signature.close();
    this.#compiled.delete();
  }

  /** @param {number} k */
  #checkCount(k) {
    if (!(Number.isInteger(k) && k >= 1 && k <= this.items.length)) {
      const size = this.items.length.toLocaleString("en");
      throw new RangeError(`k=${k} is out of range; give 1 to ${size}`);
    }
  }

  /**
   * Check one request and encode it as inputs of the graph.
   *
   * @param {Iterable<Item>} items
   * @param {Features} features
   * @param {Iterable<Item>} exclude
   * @param {string} of suffix of error messages that names the history.
   * @returns {EncodedRequest}
   */
  #prepare(items, features = {}, exclude = [], of = "") {
    const ids = this.#known.someIdsOf(items, `items${of}`);
    const numbers = this.#knownFeatures.numbersOf(features, ids.length, `items${of}`);
    const extra = this.#known.idsOf(exclude, `items to exclude${of}`);
    const excluded = new Set([NO_ITEM, ...extra, ...(this.model.keep_seen ? [] : ids)]);
    const ports = this.#signatures.recommend.inputs.filter(({ name }) => name !== ADAPTER);
    const inputs = this.#knownFeatures.fill(ports, ids, numbers);
    // An adapter of zeros leaves the model as it was exported.
    return { inputs: { ...inputs, [ADAPTER]: this.#zeroAdapter }, excluded };
  }

  /**
   * Return the request with a user's adapter, if there is one.
   *
   * @param {EncodedRequest} request
   * @param {Adapter | undefined} adapter
   * @returns {EncodedRequest}
   */
  #withAdapter(request, adapter) {
    if (adapter === undefined) return request;
    requireFit(adapter, this.model.graph.sha256, this.#zeroAdapter.length);
    return {
      ...request,
      inputs: { ...request.inputs, [ADAPTER]: new Float32Array(adapter.vector) },
    };
  }

  /**
   * Return the k best of all items: from the list that the graph computes if k of its items are not
   * excluded, else by scoring every item.
   *
   * @param {EncodedRequest} request
   * @param {number} k
   */
  #rankAll(request, k) {
    const { ids, scores } = this.#signatures.recommend.run(request.inputs);
    const allowed = [];
    for (let place = 0; place < ids.length && allowed.length < k; place++) {
      const id = ids[place];
      if (!request.excluded.has(id)) allowed.push({ id, score: scores[place] });
    }
    if (allowed.length === k) return this.#toRecommendations(allowed);
    return this.#rank(this.#known.ids, request, k);
  }

  /**
   * Return the k best of some candidates.
   *
   * @param {number[]} ids
   * @param {EncodedRequest} request
   * @param {number} k
   */
  #rank(ids, request, k) {
    const allowed = [...new Set(ids)].filter((id) => !request.excluded.has(id));
    return this.#toRecommendations(topRanked(allowed, this.#scores(allowed, request), k));
  }

  /**
   * @param {number[]} ids
   * @param {EncodedRequest} request
   */
  #scores(ids, { inputs }) {
    return this.#signatures.score.runOnAll("candidates", ids, inputs).scores;
  }

  /**
   * Convert ids and scores to raw items with their catalogue entries.
   *
   * @param {ScoredId[]} list
   * @returns {Recommendation[]}
   */
  #toRecommendations(list) {
    return list.map(({ id, score }) => {
      const { item, title, genres, year } = this.catalogue.at(id - 1);
      return { item, score, title, genres, year };
    });
  }
}

/** @typedef {{id: number, score: number}} ScoredId */

/**
 * Pair ids with their scores.
 *
 * @param {ArrayLike<number>} ids
 * @param {ArrayLike<number>} scores
 * @returns {ScoredId[]}
 */
function pairWithScores(ids, scores) {
  return Array.from(ids, (id, place) => ({ id, score: scores[place] }));
}

/**
 * Return the k ids with the highest scores, best first; ties are ordered by id.
 *
 * @param {number[]} ids
 * @param {ArrayLike<number>} scores
 * @param {number} k
 */
function topRanked(ids, scores, k) {
  const inOrder = pairWithScores(ids, scores).sort((a, b) => b.score - a.score || a.id - b.id);
  return inOrder.slice(0, k);
}

/**
 * Scale vectors to unit length; a zero vector stays zero.
 *
 * @param {Float32Array} vectors [count * D].
 * @param {number} count
 * @returns {Float32Array[]} [count], each [D].
 */
function unitVectors(vectors, count) {
  const width = vectors.length / count;
  return Array.from({ length: count }, (_, row) => {
    const vector = vectors.subarray(row * width, (row + 1) * width);
    const length = Math.sqrt(dot(vector, vector)) || 1;
    return vector.map((each) => each / length);
  });
}

/**
 * @param {Float32Array} one
 * @param {Float32Array} other
 */
function dot(one, other) {
  return one.reduce((sum, each, place) => sum + each * other[place], 0);
}

/**
 * Throw a TypeError on an unknown option, which would otherwise be ignored silently.
 *
 * @param {object} options
 * @param {string[]} names
 */
function checkOptions(options, names) {
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new TypeError(`there is no option "${other}"; there is ${names.join(", ")}`);
}

/**
 * Check that there is one entry for each history; return an empty list if none are given.
 *
 * @template Entry
 * @param {string} name
 * @param {Iterable<Entry> | undefined} given
 * @param {number} count number of histories.
 * @returns {Entry[]}
 */
function onePerHistory(name, given, count) {
  if (given === undefined) return [];
  const entries = listOf(given, `entries of ${name}`);
  if (entries.length !== count) {
    throw new RangeError(
      `${name} has ${entries.length} entries for ${count} histories; give one each`,
    );
  }
  return entries;
}
