/** A recommender in a worker, so that long calls such as `adapt` do not block the page. */

import { isUrl, resolveUrl } from "./fetch_file.js";
import { WorkerCalls } from "./worker_calls.js";

/** @import { Entry } from "./catalogue.js" */
/** @import { Source } from "./fetch_file.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { LoadOptions, UpdateOptions } from "./options.js" */
/** @import { Recommender } from "./recommender.js" */

/** @typedef {Pick<Recommender, "items" | "model" | "topK" | "historyLength" | "features">} Loaded */

/**
 * A recommender that runs in a worker, whose script is the entry `jaxrec/worker`.
 *
 * The methods are those of `Recommender`; `knows` and `describe` return promises too.
 */
export class WorkerRecommender {
  #calls;

  #loaded;

  /**
   * @param {WorkerCalls} calls
   * @param {Loaded} loaded
   */
  constructor(calls, loaded) {
    this.#calls = calls;
    this.#loaded = loaded;
  }

  /** As in `Recommender`; likewise the other properties. */
  get items() {
    return this.#loaded.items;
  }

  get model() {
    return this.#loaded.model;
  }

  get topK() {
    return this.#loaded.topK;
  }

  get historyLength() {
    return this.#loaded.historyLength;
  }

  get features() {
    return this.#loaded.features;
  }

  /**
   * Load a recommender in a worker.
   *
   * @param {Worker} worker a new worker, which this recommender terminates when it is closed.
   * @param {Source} source as in `Recommender.load`.
   * @param {LoadOptions} options as in `Recommender.load`.
   * @throws {Error} as in `Recommender.load`; the worker is terminated then.
   */
  static async load(worker, source, { runtime, ...options } = {}) {
    const calls = new WorkerCalls(worker);
    const values = [
      inPage(source),
      runtime === undefined ? options : { ...options, runtime: resolveUrl(runtime) },
    ];
    try {
      return new WorkerRecommender(calls, await calls.call("load", values));
    } catch (error) {
      calls.close();
      throw error;
    }
  }

  /**
   * Replace the model by that of another file, as `Recommender.update` does.
   *
   * @param {Source} source
   * @param {UpdateOptions} options
   * @returns {Promise<boolean>}
   */
  async update(source, options = {}) {
    const values = [inPage(source), options];
    const { isReplaced, loaded } = await this.#calls.call("update", values);
    this.#loaded = loaded;
    return isReplaced;
  }

  /**
   * @param {Parameters<Recommender["recommend"]>} values
   * @returns {ReturnType<Recommender["recommend"]>}
   */
  recommend(...values) {
    return this.#calls.call("recommend", values);
  }

  /**
   * @param {Parameters<Recommender["recommendMany"]>} values
   * @returns {ReturnType<Recommender["recommendMany"]>}
   */
  recommendMany(...values) {
    return this.#calls.call("recommendMany", values);
  }

  /**
   * @param {Parameters<Recommender["similar"]>} values
   * @returns {ReturnType<Recommender["similar"]>}
   */
  similar(...values) {
    return this.#calls.call("similar", values);
  }

  /**
   * @param {Parameters<Recommender["adapt"]>} values
   * @returns {ReturnType<Recommender["adapt"]>}
   */
  adapt(...values) {
    return this.#calls.call("adapt", values);
  }

  /**
   * @param {Parameters<Recommender["encode"]>} values
   * @returns {ReturnType<Recommender["encode"]>}
   */
  encode(...values) {
    return this.#calls.call("encode", values);
  }

  /**
   * @param {Parameters<Recommender["score"]>} values
   * @returns {ReturnType<Recommender["score"]>}
   */
  score(...values) {
    return this.#calls.call("score", values);
  }

  /**
   * @param {Parameters<Recommender["rate"]>} values
   * @returns {ReturnType<Recommender["rate"]>}
   */
  rate(...values) {
    return this.#calls.call("rate", values);
  }

  /**
   * @param {Parameters<Recommender["predict"]>} values
   * @returns {ReturnType<Recommender["predict"]>}
   */
  predict(...values) {
    return this.#calls.call("predict", values);
  }

  /**
   * @param {Parameters<Recommender["vectors"]>} values
   * @returns {ReturnType<Recommender["vectors"]>}
   */
  vectors(...values) {
    return this.#calls.call("vectors", values);
  }

  /**
   * @param {RawItem} item
   * @returns {Promise<boolean>}
   */
  knows(item) {
    return this.#calls.call("knows", [item]);
  }

  /**
   * @param {RawItem} item
   * @returns {Promise<Entry | undefined>}
   */
  describe(item) {
    return this.#calls.call("describe", [item]);
  }

  /** Terminate the worker; calls that are not answered yet throw an error. */
  close() {
    this.#calls.close();
  }
}

/**
 * Resolve a URL as the page does; the worker would resolve it relative to its own script.
 *
 * @param {Source} source
 */
function inPage(source) {
  return isUrl(source) ? resolveUrl(source) : source;
}
