/**
 * Recommender: loads a .tflite file of jaxrec and recommends inside the browser.
 *
 *     import { Recommender } from "jaxrec";
 *
 *     const recommender = await Recommender.load("model.tflite");
 *     for (const each of await recommender.recommend([1193, 661, 914], 5)) {
 *       console.log(each.item, each.title, each.score);
 *     }
 */

import { BundleError, readBundle } from "./bundle.js";
import { fetchBytes, isUrl } from "./fetch_file.js";
import { DeviceModel } from "./interpreter.js";
import { asList, ItemIndex, NO_ITEM } from "./item_index.js";
import { startRuntime } from "./litert.js";
import { checkOptions } from "./options.js";
import { toRating, toRecommendations } from "./recommendation.js";
import { excludedIds, RequestBuilder } from "./request.js";
import { openBuild, requireBrowserSupport } from "./runtime_files.js";
import { rankSimilar, toUnitVectors } from "./similarity.js";
import { rankAll, rankCandidates, requireK } from "./top_k.js";
import { adapterInput, adaptInputs, requireAdaptSettings, toAdapter } from "./user_adapter.js";

/** @import { Bundle } from "./bundle.js" */
/** @import { Source } from "./fetch_file.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { AdaptOptions, EncodeOptions, PredictOptions } from "./options.js" */
/** @import { RecommendManyOptions, RecommendOptions } from "./options.js" */
/** @import { Rating, Recommendation } from "./recommendation.js" */
/** @import { Request } from "./request.js" */
/** @import { Adapter } from "./user_adapter.js" */

/**
 * A recommender on raw items. Histories run from the oldest to the most recent item.
 *
 * Only the last N known items of a history are read. Unknown items are skipped, but at least one
 * must be known; an empty history results in the popular items. Calls leave no state behind.
 *
 * A list has no item of the whole history, unless the file was exported with --keep-seen. It is
 * shorter than k only if fewer items are left.
 *
 * A model that was trained with features takes `features`: raw values by feature name, as described
 * in features.js. Missing features are unknown.
 */
export class Recommender {
  #device;
  #itemIndex;
  #requests;
  /** @type {Promise<Float32Array[]> | undefined} item embeddings of length one, on first use. */
  #unitVectors;

  /**
   * @param {DeviceModel} device
   * @param {Bundle} bundle
   */
  constructor(device, { items, catalogue, model }) {
    this.#device = device;
    this.#itemIndex = new ItemIndex(items);
    /** Raw items of the model, the most popular of its first training first, [V]. */
    this.items = items;
    /** `item`, `title`, `genres` and `year` of each item, ordered as `items`, [V]; read by `at`. */
    this.catalogue = catalogue;
    /** Content of model.json: shapes, rules, figures. */
    this.model = model;
    /** Number of items in the list that the graph itself computes. */
    this.topK = model.top_k;
    /** Number of history items that the model reads, N. */
    this.historyLength = model.history_length;
    /** Features that the model takes in addition to the items; older files have no such field. */
    this.features = model.features ?? [];
    this.#requests = new RequestBuilder(this.#itemIndex, this.features, device.historyPorts);
  }

  /**
   * Load a recommender from one file, after verifying its integrity.
   *
   * @param {Source} source URL of the .tflite file, or its content.
   * @param {{runtime?: string | URL}} options `runtime`: URL of a copy of the folder wasm/ of
   *     `@litertjs/core`, as described in runtime_files.js; the first call decides.
   * @throws {BundleError} as in `readBundle`.
   * @throws {UnsupportedError} this browser cannot run it.
   * @throws {LoadError} the file or the runtime cannot be fetched; a later call tries again.
   */
  static async load(source, options = {}) {
    checkOptions(options, ["runtime"]);
    requireBrowserSupport();
    const content = isUrl(source) ? await fetchBytes(source) : source;
    const bundle = await readBundle(new Uint8Array(content));
    const runtime = await startRuntime(() => openBuild(options.runtime));
    return new Recommender(await DeviceModel.load(runtime, bundle.graph), bundle);
  }

  /**
   * Check whether the model knows an item.
   *
   * @param {RawItem} item
   */
  knows(item) {
    return this.#itemIndex.idOf(item) !== NO_ITEM;
  }

  /**
   * Return the catalogue entry of an item, undefined if the model does not know it.
   *
   * @param {RawItem} item
   */
  describe(item) {
    return this.knows(item) ? this.catalogue.at(this.#itemIndex.idOf(item) - 1) : undefined;
  }

  /**
   * Return the top k items after a history, best first; ties in the order of `items`.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {number} k 1 to V.
   * @param {RecommendOptions} options
   * @returns {Promise<Recommendation[]>}
   * @throws {TypeError} an argument is not a list where one is needed, or an option does not exist.
   * @throws {RangeError} k is out of range, all items of the history or all candidates are unknown,
   *     or the features or the adapter do not fit the model.
   */
  async recommend(items, k = 10, options = {}) {
    checkOptions(options, ["exclude", "candidates", "features", "adapter", "unknown"]);
    requireK(k, this.items.length);
    const request = this.#requests.build(items, options);
    const { candidates, adapter } = options;
    if (candidates === undefined) return this.#rank(request, k, adapter);
    const ids = this.#itemIndex.requireAnyKnown(candidates, "candidates");
    return this.#rank(request, k, adapter, ids);
  }

  /**
   * Return the list of `recommend` for each of several histories.
   *
   * @param {Iterable<Iterable<RawItem>>} histories
   * @param {number} k 1 to V.
   * @param {RecommendManyOptions} options
   * @returns {Promise<Recommendation[][]>}
   * @throws {TypeError|RangeError} as in `recommend`; the message has the indices of the histories.
   */
  async recommendMany(histories, k = 10, options = {}) {
    checkOptions(options, ["exclude", "features", "unknown"]);
    requireK(k, this.items.length);
    const requests = this.#requests.buildMany(histories, options);
    return requests.map((request) => this.#rank(request, k));
  }

  /**
   * Return the k items with the highest cosine similarity to an item, without the item itself.
   *
   * @param {RawItem} item
   * @param {number} k 1 to V.
   * @returns {Promise<Recommendation[]>} scores are the cosines of the embeddings, -1 to 1.
   * @throws {RangeError} k is out of range, or the item is unknown.
   * @throws {BundleError} the file is an older one, without item embeddings.
   */
  async similar(item, k = 10) {
    requireK(k, this.items.length);
    const id = this.#itemIndex.requireId(item);
    this.#unitVectors ??= this.vectors().then(toUnitVectors);
    return toRecommendations(rankSimilar(await this.#unitVectors, id, k), this.catalogue);
  }

  /**
   * Learn an adapter for a user from the last M known items of a longer history.
   *
   * The last of these are held out: an adapter is kept only if learning from the others makes them
   * more likely; otherwise it is all zeros. The call takes as long as several hundred calls of
   * `recommend`, so run it in a worker (worker.js). Repeat it when the history has grown.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {AdaptOptions} options by default, weights decay by age.
   * @returns {Promise<Adapter>}
   * @throws {BundleError} the file was exported without --adapt.
   * @throws {TypeError|RangeError} too few items are known, or the weights are invalid.
   */
  async adapt(items, options = {}) {
    checkOptions(options, ["weights"]);
    const settings = requireAdaptSettings(this.model);
    const ids = this.#itemIndex.requireAnyKnown(items, "items");
    const outputs = this.#device.adapt(adaptInputs(ids, options.weights, settings));
    return toAdapter(this.model.graph.sha256, outputs);
  }

  /**
   * Return the query of a history, for retrieval outside the file.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {EncodeOptions} options
   * @returns {Promise<Float32Array>} [D].
   * @throws {TypeError|RangeError} as in `recommend`.
   */
  async encode(items, options = {}) {
    checkOptions(options, ["features", "adapter"]);
    const request = this.#requests.build(items, options);
    return this.#device.encode(this.#inputs(request, options.adapter));
  }

  /**
   * Return the score of each candidate after a history; an unknown candidate has about -1e9.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {Iterable<RawItem>} candidates any number of items.
   * @param {EncodeOptions} options
   * @returns {Promise<number[]>}
   * @throws {TypeError|RangeError} as in `recommend`, but all candidates may be unknown.
   */
  async score(items, candidates, options = {}) {
    checkOptions(options, ["features", "adapter"]);
    const ids = this.#itemIndex.idsOf(candidates, "candidates");
    const inputs = this.#inputs(this.#requests.build(items, options), options.adapter);
    return Array.from(this.#device.score(inputs, ids));
  }

  /**
   * Predict the rating of each candidate after a history; null for an unknown candidate.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {Iterable<RawItem>} candidates any number of items.
   * @param {PredictOptions} options
   * @returns {Promise<(Rating | null)[]>}
   * @throws {BundleError} the model has no rating head.
   * @throws {TypeError|RangeError} as in `score`.
   */
  async rate(items, candidates, options = {}) {
    if (!this.#device.has("rate")) {
      throw new BundleError("The model predicts no ratings; train a run with --predict-ratings.");
    }
    const list = asList(candidates, "candidates");
    const predictions = await this.predict("rate", items, list, options);
    const ratings = this.model.ratings ?? [];
    return predictions.map((each, index) => each && toRating(list[index], each, ratings));
  }

  /**
   * Predict a head's outputs for each candidate after a history; null for an unknown candidate.
   *
   * @param {string} signature signature of the head.
   * @param {Iterable<RawItem>} items history.
   * @param {Iterable<RawItem>} candidates any number of items.
   * @param {PredictOptions} options
   * @returns {Promise<(Record<string, Float32Array> | null)[]>} outputs of the head by name.
   * @throws {BundleError} the model has no such head.
   * @throws {TypeError|RangeError} as in `score`.
   */
  async predict(signature, items, candidates, options = {}) {
    checkOptions(options, ["features"]);
    const ids = this.#itemIndex.idsOf(candidates, "candidates");
    const inputs = this.#inputs(this.#requests.build(items, options));
    const predictions = this.#device.predict(signature, inputs, ids);
    return predictions.map((each, index) => (ids[index] === NO_ITEM ? null : each));
  }

  /**
   * Return the embedding and the bias of each item, in the order of `items`. A score is the dot
   * product of the query of a history, from `encode`, and an item embedding, plus the bias.
   *
   * @returns {Promise<{vectors: Float32Array, biases: Float32Array}>} row-major [V, D]; [V].
   * @throws {BundleError} the file is an older one, without item embeddings.
   */
  async vectors() {
    return this.#device.vectors(this.#itemIndex.ids);
  }

  /** Free the model's memory; it cannot be used afterwards. */
  close() {
    this.#device.close();
  }

  /**
   * @param {Request} request
   * @param {Adapter} [adapter]
   */
  #inputs(request, adapter) {
    const inputs = this.#requests.inputs(request);
    if (adapter === undefined) return inputs;
    const { sha256 } = this.model.graph;
    return { ...inputs, ...adapterInput(adapter, sha256, this.#device.adapterWidth) };
  }

  /**
   * Rank every item, or only the candidates.
   *
   * @param {Request} request
   * @param {number} k
   * @param {Adapter} [adapter]
   * @param {number[]} [candidates] ids.
   */
  #rank(request, k, adapter, candidates) {
    const inputs = this.#inputs(request, adapter);
    const excluded = excludedIds(request, this.model.keep_seen);
    const list = candidates
      ? rankCandidates(this.#device, inputs, candidates, excluded, k)
      : rankAll(this.#device, inputs, excluded, k, this.items.length);
    return toRecommendations(list, this.catalogue);
  }
}
