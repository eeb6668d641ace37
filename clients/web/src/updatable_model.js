/** The model that a recommender answers with, until an update replaces it. */

import { readBundle } from "./bundle.js";
import { LoadError } from "./fetch_file.js";
import { LoadedModel } from "./loaded_model.js";
import { loadProven, requireNotOlder } from "./update.js";

/** @import { Source } from "./fetch_file.js" */
/** @import { Runtime } from "./litert.js" */
/** @import { UpdateOptions } from "./options.js" */

/**
 * @typedef {object} Host what differs between browsers and Node.js.
 * @property {(source: Source) => Promise<Uint8Array<ArrayBuffer>>} read returns the content.
 * @property {() => Promise<Runtime>} startRuntime
 * @property {(content: Uint8Array) => Promise<void>} [store] replaces the file that was loaded.
 */

/** A model that is replaced as a whole. */
export class UpdatableModel {
  #host;
  #publicKey;
  #isClosed = false;
  /** @type {Promise<unknown>} end of the last update; updates take turns. */
  #lastUpdate = Promise.resolve();

  /**
   * @param {LoadedModel} current
   * @param {Host} host
   * @param {string} [publicKey]
   */
  constructor(current, host, publicKey) {
    this.current = current;
    this.#host = host;
    this.#publicKey = publicKey;
  }

  /**
   * Load the model of a file.
   *
   * @param {Source} source
   * @param {Host} host
   * @param {string} [publicKey]
   */
  static async load(source, host, publicKey) {
    const bundle = await readBundle(await host.read(source), publicKey);
    const model = await LoadedModel.load(await host.startRuntime(), bundle);
    return new UpdatableModel(model, host, publicKey);
  }

  /**
   * Replace the model by that of a file, as described in `Recommender.update`.
   *
   * @param {Source} source
   * @param {UpdateOptions} options
   */
  update(source, options) {
    const update = this.#lastUpdate.then(() => this.#replace(source, options));
    this.#lastUpdate = update.catch(() => {});
    return update;
  }

  /** Free the memory of the model; it cannot be used afterwards. */
  close() {
    this.#isClosed = true;
    this.current.close();
  }

  /**
   * @param {Source} source
   * @param {UpdateOptions} options
   */
  async #replace(source, { publicKey = this.#publicKey, rollback = false }) {
    const content = await this.#host.read(source);
    const bundle = await readBundle(content, publicKey);
    const { current } = this;
    if (bundle.sha256 === current.sha256) return false;
    if (!rollback) requireNotOlder(bundle.model, current.model);
    const runtime = await this.#host.startRuntime();
    const next = await loadProven(() => LoadedModel.load(runtime, bundle));
    try {
      if (this.#isClosed) throw new LoadError("the recommender is closed");
      await this.#host.store?.(content);
    } catch (error) {
      next.close();
      throw error;
    }
    this.current = next;
    // No call is inside a graph now: they run without interruption. `close` may have come meanwhile.
    (this.#isClosed ? next : current).close();
    return true;
  }
}
