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
 * To use it in a page of your own, copy this file, known.js, features.js, adapter.js, signature.js,
 * bundle.js, catalogue.js and the folder runtime/ (LiteRT.js). It knows nothing of the page around it, and sends
 * nothing anywhere.
 *
 * Histories run from the oldest to the most recent item. Of a longer one the last N items count;
 * items that the model does not know are passed over, but one at least must be known; an empty one
 * gives the popular items. Nothing is remembered between calls.
 *
 * No list holds an item of its whole history, unless the file was made to keep what was seen, and
 * none is shorter than k while items are left. Where the file's own list of topK does not do,
 * because k is larger or much of it is left out, every item is scored, which takes longer.
 *
 * A model that was told more in training takes `features`: by name, a value for each item of the
 * history, or one of the user. They are raw: what the log had, or the seconds from each activity to
 * now. What is left out, null, NaN and a value that the model was never told are unknown.
 */

import { activitiesOf, adapterOf, requireFit } from "./adapter.js";
import { BundleError, readBundle } from "./bundle.js";
import { KnownFeatures } from "./features.js";
import { KnownItems, listOf, NO_ITEM } from "./known.js";
import { loadAndCompile, loadLiteRt } from "./runtime/litert.js";
import { Signature } from "./signature.js";

/** Where LiteRT.js finds the build that suits the browser. */
const RUNTIME = new URL("./runtime/", import.meta.url).href;

/** The input of what was learned of a user. */
const ADAPTER = "adapter";

/** The browser lacks what the runtime needs. */
export class UnsupportedError extends Error {
  name = "UnsupportedError";
}

/**
 * The start of the runtime, shared by all models of a page.
 *
 * @type {Promise<unknown> | undefined}
 */
let runtime;

/** @typedef {import("./bundle.js").Item} Item */

/** @typedef {import("./features.js").Features} Features */

/** @typedef {import("./adapter.js").Adapter} Adapter */

/**
 * @typedef {object} Recommendation
 * @property {Item} item the raw item, as in the log.
 * @property {number} score higher is better; comparable within one list.
 * @property {string | null} title null where the catalogue does not know it; so are genres and year.
 * @property {string[] | null} genres
 * @property {number | null} year
 */

/**
 * @typedef {object} Rating how a user would rate an item.
 * @property {Item} item the raw item, as in the log.
 * @property {number} expected the mean of the ratings, each by its probability.
 * @property {Map<number, number>} atLeast the probability of each rating of the log, or of a higher
 *     one, by the rating, the lowest first.
 */

/**
 * @typedef {object} Asked one history as the file takes it.
 * @property {Record<string, import("./signature.js").Row>} inputs
 * @property {Set<number>} closed ids that are left out of its list.
 */

export class Recommender {
  #compiled;
  /** @type {Record<string, Signature>} */
  #signatures = {};
  #known;
  #knownFeatures;
  #shipped;
  /** @type {Promise<Float32Array[]> | undefined} the items' vectors at length one, once asked for. */
  #directions;

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
    /** The raw items that the model knows, the most popular first, [V]. */
    this.items = items;
    /** `item`, `title`, `genres` and `year` of each, in the same order, [V]; read with `at`. */
    this.catalogue = catalogue;
    /** What the file says of itself: shapes, rules, figures (model.json). */
    this.model = model;
    /** What it takes beside items; a file of before there were features takes none. */
    this.features = model.features ?? [];
    this.#knownFeatures = new KnownFeatures(this.features);
    const { inputs } = this.#signatures.recommend;
    this.#shipped = new Float32Array(inputs.find(({ name }) => name === ADAPTER)?.length ?? 0);
  }

  /**
   * Read everything from one file, after proving that it is whole.
   *
   * @param {Uint8Array<ArrayBuffer>} bytes the .tflite file.
   * @throws {BundleError} it is not ours, of another version, damaged, or made for servers.
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

  /** How many items the file's own list holds. */
  get topK() {
    return this.model.top_k;
  }

  /** How many items of a history the model reads, N. */
  get historyLength() {
    return this.model.history_length;
  }

  /**
   * Tell whether the model knows an item.
   *
   * @param {Item} item
   */
  knows(item) {
    return this.#known.idOf(item) !== NO_ITEM;
  }

  /**
   * Give what the catalogue says of an item; undefined if the model does not know it.
   *
   * @param {Item} item
   */
  describe(item) {
    return this.knows(item) ? this.catalogue.at(this.#known.idOf(item) - 1) : undefined;
  }

  /**
   * Give the k best items to come after a history, best first; ties in the order of `items`.
   *
   * @param {Iterable<Item>} items the history.
   * @param {number} k 1 to V.
   * @param {{exclude?: Iterable<Item>, candidates?: Iterable<Item>, features?: Features,
   *     adapter?: Adapter}} options `exclude`: what is left out beside the history; `candidates`:
   *     what alone is ranked, by default every item; `adapter`: what `adapt` learned of the user.
   * @returns {Promise<Recommendation[]>}
   * @throws {TypeError} what should be a list is none, or there is no such option.
   * @throws {RangeError} k is out of range, nothing is known of the history or of the candidates, or
   *     features or adapter are not those of the model.
   */
  async recommend(items, k = 10, options = {}) {
    check(options, ["exclude", "candidates", "features", "adapter"]);
    this.#checkCount(k);
    const asked = this.#adapted(
      this.#ask(items, options.features, options.exclude),
      options.adapter,
    );
    if (options.candidates === undefined) return this.#bestOfAll(asked, k);
    return this.#bestOf(this.#known.someIdsOf(options.candidates, "candidates"), asked, k);
  }

  /**
   * Give for each history what `recommend` gives.
   *
   * @param {Iterable<Iterable<Item>>} histories
   * @param {number} k 1 to V.
   * @param {{exclude?: Iterable<Iterable<Item>>, features?: Iterable<Features>}} options one entry for
   *     each history.
   * @returns {Promise<Recommendation[][]>}
   * @throws {TypeError|RangeError} as in `recommend`; the message has the number of the history, from
   *     0.
   */
  async recommendMany(histories, k = 10, options = {}) {
    check(options, ["exclude", "features"]);
    this.#checkCount(k);
    const all = listOf(histories, "histories");
    const exclude = oneEach("exclude", options.exclude, all.length);
    const features = oneEach("features", options.features, all.length);
    const asked = all.map((items, number) =>
      this.#ask(items, features[number], exclude[number], ` of histories[${number}]`),
    );
    return asked.map((each) => this.#bestOfAll(each, k));
  }

  /**
   * Give the k items whose vectors point most nearly where an item's does, that item left out.
   *
   * @param {Item} item
   * @param {number} k 1 to V.
   * @returns {Promise<Recommendation[]>} their scores are the cosines of the vectors, -1 to 1.
   * @throws {RangeError} k is out of range, or the item is unknown.
   * @throws {BundleError} the file is an older one, without vectors.
   */
  async similar(item, k = 10) {
    this.#checkCount(k);
    const own = this.#known.knownIdOf(item);
    this.#directions ??= this.vectors().then(({ vectors }) =>
      directions(vectors, this.items.length),
    );
    const rows = await this.#directions;
    const others = this.#known.ids.filter((id) => id !== own);
    const cosines = others.map((id) => dot(rows[id - 1], rows[own - 1]));
    return this.#listed(best(others, cosines, k));
  }

  /**
   * Learn of a user from a longer history, of which the last M known items count.
   *
   * The last of these are held back: what was learned from the others is kept only if it makes them
   * likelier, or else the adapter changes nothing. It takes as long as several hundred calls of
   * `recommend`, so have a worker do it (adapter_worker.js); learn again when much has been added.
   *
   * @param {Iterable<Item>} items the history.
   * @param {{weights?: Iterable<number>}} options how much each of them counts, 0 or more; by default
   *     the more the later.
   * @returns {Promise<Adapter>}
   * @throws {BundleError} the file was not made to learn.
   * @throws {TypeError|RangeError} too little of the history is known, or the weights are not right.
   */
  async adapt(items, options = {}) {
    check(options, ["weights"]);
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
   * Give the context vector of a history, for a retrieval of one's own.
   *
   * @param {Iterable<Item>} items the history.
   * @param {{features?: Features, adapter?: Adapter}} options
   * @returns {Promise<Float32Array>} [D].
   * @throws {TypeError|RangeError} as in `recommend`.
   */
  async encode(items, options = {}) {
    check(options, ["features", "adapter"]);
    const { inputs } = this.#adapted(this.#ask(items, options.features), options.adapter);
    return /** @type {Float32Array} */ (this.#signatures.encode.run(inputs).context);
  }

  /**
   * Give the score of each candidate after a history; an unknown one has about -1e9.
   *
   * @param {Iterable<Item>} items the history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features, adapter?: Adapter}} options
   * @returns {Promise<number[]>}
   * @throws {TypeError|RangeError} as in `recommend`, but no candidate need be known.
   */
  async score(items, candidates, options = {}) {
    check(options, ["features", "adapter"]);
    const ids = this.#known.idsOf(candidates, "candidates");
    const asked = this.#adapted(this.#ask(items, options.features), options.adapter);
    return Array.from(this.#scores(ids, asked));
  }

  /**
   * Predict the rating of each candidate after a history; null for an unknown one.
   *
   * @param {Iterable<Item>} items the history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features}} options
   * @returns {Promise<(Rating | null)[]>}
   * @throws {BundleError} the model has not learned ratings.
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
      // The file leaves out the lowest rating, which every rating reaches.
      const atLeast = new Map([[lowest, 1]]);
      for (const [index, rating] of others.entries()) atLeast.set(rating, each.at_least[index]);
      return { item: raw[place], expected: each.ratings[0], atLeast };
    });
  }

  /**
   * Predict the label of a head for each candidate after a history; null for an unknown one.
   *
   * @param {string} signature of the head.
   * @param {Iterable<Item>} items the history.
   * @param {Iterable<Item>} candidates any number of items.
   * @param {{features?: Features}} options
   * @returns {Promise<(Record<string, Float32Array> | null)[]>} the outputs of the head by name.
   * @throws {BundleError} the model has no such head.
   * @throws {TypeError|RangeError} as in `score`.
   */
  async predict(signature, items, candidates, options = {}) {
    check(options, ["features"]);
    const head = this.#signatures[signature];
    if (!head?.inputs.some(({ name }) => name === "candidates")) {
      throw new BundleError(`The model has no head "${signature}": train one that has.`);
    }
    const ids = this.#known.idsOf(candidates, "candidates");
    const { inputs } = this.#ask(items, options.features);
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
   * Give the vector and the bias of each item, in the order of `items`. A score is the product of an
   * item's vector with the context of a history, and the item's bias added.
   *
   * @returns {Promise<{vectors: Float32Array, biases: Float32Array}>} [V * D], the D numbers of an
   *     item behind those of the item before; [V].
   * @throws {BundleError} the file is an older one, without vectors.
   */
  async vectors() {
    const signature = this.#signatures.vectors;
    if (!signature) throw new BundleError("The model has no item vectors: convert its run again.");
    const { vectors, biases } = signature.runOnAll("items", this.#known.ids);
    return { vectors, biases };
  }

  /** Free the memory of the model; it cannot be used afterwards. */
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
   * Check what a caller gives, and look it up.
   *
   * @param {Iterable<Item>} items
   * @param {Features} features
   * @param {Iterable<Item>} exclude
   * @param {string} of says in an error whose it is.
   * @returns {Asked}
   */
  #ask(items, features = {}, exclude = [], of = "") {
    const ids = this.#known.someIdsOf(items, `items${of}`);
    const numbers = this.#knownFeatures.numbersOf(features, ids.length, `items${of}`);
    const excluded = this.#known.idsOf(exclude, `items to exclude${of}`);
    const closed = new Set([NO_ITEM, ...excluded, ...(this.model.keep_seen ? [] : ids)]);
    const ports = this.#signatures.recommend.inputs.filter(({ name }) => name !== ADAPTER);
    const inputs = this.#knownFeatures.fill(ports, ids, numbers);
    // Without an adapter, the model as it was shipped.
    return { inputs: { ...inputs, [ADAPTER]: this.#shipped }, closed };
  }

  /**
   * Ask with what was learned of a user, if something was.
   *
   * @param {Asked} asked
   * @param {Adapter | undefined} adapter
   * @returns {Asked}
   */
  #adapted(asked, adapter) {
    if (adapter === undefined) return asked;
    requireFit(adapter, this.model.graph.sha256, this.#shipped.length);
    return { ...asked, inputs: { ...asked.inputs, [ADAPTER]: new Float32Array(adapter.vector) } };
  }

  /**
   * Give the k best of all items. The file's own list does, where k of its items are open; elsewhere
   * every item is scored.
   *
   * @param {Asked} asked
   * @param {number} k
   */
  #bestOfAll(asked, k) {
    const { ids, scores } = this.#signatures.recommend.run(asked.inputs);
    const open = [];
    for (let place = 0; place < ids.length && open.length < k; place++) {
      const id = ids[place];
      if (!asked.closed.has(id)) open.push({ id, score: scores[place] });
    }
    if (open.length === k) return this.#listed(open);
    return this.#bestOf(this.#known.ids, asked, k);
  }

  /**
   * Give the k best of some items.
   *
   * @param {number[]} ids
   * @param {Asked} asked
   * @param {number} k
   */
  #bestOf(ids, asked, k) {
    const open = [...new Set(ids)].filter((id) => !asked.closed.has(id));
    return this.#listed(best(open, this.#scores(open, asked), k));
  }

  /**
   * @param {number[]} ids
   * @param {Asked} asked
   */
  #scores(ids, { inputs }) {
    return this.#signatures.score.runOnAll("candidates", ids, inputs).scores;
  }

  /**
   * Say what each item of a list is.
   *
   * @param {Ranked[]} list
   * @returns {Recommendation[]}
   */
  #listed(list) {
    return list.map(({ id, score }) => {
      const { item, title, genres, year } = this.catalogue.at(id - 1);
      return { item, score, title, genres, year };
    });
  }
}

/** @typedef {{id: number, score: number}} Ranked */

/**
 * Give ids with their scores.
 *
 * @param {ArrayLike<number>} ids
 * @param {ArrayLike<number>} scores
 * @returns {Ranked[]}
 */
function ranked(ids, scores) {
  return Array.from(ids, (id, place) => ({ id, score: scores[place] }));
}

/**
 * Give the k ids of the highest scores, best first; of those that tie, the lower id first.
 *
 * @param {number[]} ids
 * @param {ArrayLike<number>} scores
 * @param {number} k
 */
function best(ids, scores, k) {
  const inOrder = ranked(ids, scores).sort((a, b) => b.score - a.score || a.id - b.id);
  return inOrder.slice(0, k);
}

/**
 * Scale vectors to length one; one of zeros stays as it is.
 *
 * @param {Float32Array} vectors [count * D].
 * @param {number} count
 * @returns {Float32Array[]} [count], each [D].
 */
function directions(vectors, count) {
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
 * Refuse options that there are not: what was meant by them would be left undone.
 *
 * @param {object} options
 * @param {string[]} names
 */
function check(options, names) {
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new TypeError(`there is no option "${other}"; there is ${names.join(", ")}`);
}

/**
 * Give one entry for each history; none at all where none were given.
 *
 * @template Entry
 * @param {string} name
 * @param {Iterable<Entry> | undefined} given
 * @param {number} count of the histories.
 * @returns {Entry[]}
 */
function oneEach(name, given, count) {
  if (given === undefined) return [];
  const entries = listOf(given, `entries of ${name}`);
  if (entries.length !== count) {
    throw new RangeError(
      `${name} has ${entries.length} entries for ${count} histories; give one each`,
    );
  }
  return entries;
}
