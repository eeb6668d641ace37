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

import { BundleError } from "./bundle_error.js";
import { fetchBytes, isUrl } from "./fetch_file.js";
import { asList, NO_ITEM } from "./item_index.js";
import { startRuntime } from "./litert.js";
import { checkOptions } from "./options.js";
import { toRating, toRecommendations } from "./recommendation.js";
import { openBuild, requireBrowserSupport } from "./runtime_files.js";
import { rankSimilar } from "./similarity.js";
import { requireK } from "./top_k.js";
import { UpdatableModel } from "./updatable_model.js";
import { adaptInputs, requireAdaptSettings, toAdapter } from "./user_adapter.js";

/** @import { Source } from "./fetch_file.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { AdaptOptions, EncodeOptions, LoadOptions, PredictOptions } from "./options.js" */
/** @import { RecommendManyOptions, RecommendOptions, UpdateOptions } from "./options.js" */
/** @import { Rating, Recommendation } from "./recommendation.js" */
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
  #updatable;

  /** @param {UpdatableModel} updatable */
  constructor(updatable) {
    this.#updatable = updatable;
  }

  /**
   * Load a recommender from one file, after verifying its integrity.
   *
   * @param {Source} source URL of the .tflite file, or its content.
   * @param {LoadOptions} options
   * @throws {BundleError} as in `readBundle`.
   * @throws {RangeError} `publicKey` is no Ed25519 public key.
   * @throws {UnsupportedError} this browser cannot run it, or cannot verify signatures.
   * @throws {LoadError} the file or the runtime cannot be fetched; a later call tries again.
   */
  static async load(source, options = {}) {
    checkOptions(options, ["publicKey", "runtime"]);
    requireBrowserSupport();
    const { publicKey, runtime } = options;
    const host = { read: readSource, startRuntime: () => startRuntime(() => openBuild(runtime)) };
    return new Recommender(await UpdatableModel.load(source, host, publicKey));
  }

  /**
   * Replace the model by that of another file.
   *
   * The file must be complete, signed if a public key is given, not older than the current model, and
   * answer; otherwise the current model stays. Calls go on during the update: each is answered by one
   * of the two models. `items` and the other properties then are those of the new model, which
   * refuses adapters of the old one.
   *
   * @param {Source} source as in `load`.
   * @param {UpdateOptions} options
   * @returns {Promise<boolean>} false if the file is that of the current model.
   * @throws {BundleError} the file is refused.
   * @throws {RangeError|UnsupportedError|LoadError} as in `load`; LoadError too after `close`.
   */
  async update(source, options = {}) {
    checkOptions(options, ["publicKey", "rollback"]);
    return this.#updatable.update(source, options);
  }

  /** Raw items of the model, the most popular of its first training first, [V]. */
  get items() {
    return this.#model.items;
  }

  /** `item`, `title`, `genres` and `year` of each item, ordered as `items`, [V]; read by `at`. */
  get catalogue() {
    return this.#model.catalogue;
  }

  /** Content of model.json: shapes, rules, figures. */
  get model() {
    return this.#model.model;
  }

  /** Number of items in the list that the graph itself computes. */
  get topK() {
    return this.model.top_k;
  }

  /** Number of history items that the model reads, N. */
  get historyLength() {
    return this.model.history_length;
  }

  /** Features that the model takes in addition to the items. */
  get features() {
    return this.#model.features;
  }

  /**
   * Check whether the model knows an item.
   *
   * @param {RawItem} item
   */
  knows(item) {
    return this.#model.itemIndex.idOf(item) !== NO_ITEM;
  }

  /**
   * Return the catalogue entry of an item, undefined if the model does not know it.
   *
   * @param {RawItem} item
   */
  describe(item) {
    return this.knows(item) ? this.catalogue.at(this.#model.itemIndex.idOf(item) - 1) : undefined;
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
    return this.#model.recommend(items, k, options);
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
    const requests = this.#model.requests.buildMany(histories, options);
    return requests.map((request) => this.#model.rank(request, k));
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
    const id = this.#model.itemIndex.requireId(item);
    return toRecommendations(rankSimilar(this.#model.unitVectors, id, k), this.catalogue);
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
    const ids = this.#model.itemIndex.requireAnyKnown(items, "items");
    const outputs = this.#model.device.adapt(adaptInputs(ids, options.weights, settings));
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
    const request = this.#model.requests.build(items, options);
    return this.#model.device.encode(this.#model.inputs(request, options.adapter));
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
    const ids = this.#model.itemIndex.idsOf(candidates, "candidates");
    const inputs = this.#model.inputs(this.#model.requests.build(items, options), options.adapter);
    return Array.from(this.#model.device.score(inputs, ids));
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
    if (!this.#model.device.has("rate")) {
      throw new BundleError("The model predicts no ratings; train a run with --predict-ratings.");
    }
    const list = asList(candidates, "candidates");
    const { ratings } = this.model; // before the wait, in which an update may replace it
    const predictions = await this.predict("rate", items, list, options);
    return predictions.map((each, index) => each && toRating(list[index], each, ratings ?? []));
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
    const ids = this.#model.itemIndex.idsOf(candidates, "candidates");
    const inputs = this.#model.inputs(this.#model.requests.build(items, options));
    const predictions = this.#model.device.predict(signature, inputs, ids);
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
    return this.#model.device.vectors(this.#model.itemIndex.ids);
  }

  /** Free the model's memory; it cannot be used afterwards. */
  close() {
    this.#updatable.close();
  }

  get #model() {
    return this.#updatable.current;
  }
}

/** @param {Source} source */
async function readSource(source) {
  return isUrl(source) ? fetchBytes(source) : new Uint8Array(source);
}
