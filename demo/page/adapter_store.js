/** Adapters of the page's models: learned in a worker, stored only in this browser. */

import { isOutdated } from "./learning.js";
import { loadModelInWorker } from "./models.js";
import { readStored, writeStored } from "./storage.js";

/** @import { Adapter, RawItem } from "jaxrec" */
/** @import { LoadedModel } from "./learning.js" */
/** @import { ListedModel } from "./models.js" */

/** Prefixes of the keys. Older releases have stored adapters under them: do not change them. */
const ADAPTERS_PREFIX = "jaxrec learned ";
const DELETIONS_PREFIX = "jaxrec deletions ";

/**
 * @typedef {object} StoredAdapters
 * @property {number} deletions deletion count when learning began.
 * @property {Record<string, Adapter>} adapters adapters by run name.
 */

/**
 * Learn an adapter in a worker.
 *
 * @param {ListedModel} model
 * @param {RawItem[]} items history.
 * @throws {Error} the worker failed; the message has the reason.
 */
async function learnInWorker(model, items) {
  const recommender = await loadModelInWorker(model);
  try {
    return await recommender.adapt(items);
  } finally {
    recommender.close();
  }
}

/**
 * The user's adapters, one for each run; they are kept when the run's model is updated.
 *
 * All tabs share a deletion count, which each deletion increments. An adapter is stored and used
 * only while the count has the value that it had when learning began.
 */
export class AdapterStore {
  #adaptersKey;
  #deletionsKey;
  /** @type {StoredAdapters} */
  #stored = { deletions: 0, adapters: {} };
  /** @type {number | undefined} deletion count, if the browser does not store it. */
  #unstoredDeletions;
  /** @type {number | undefined} deletion count when learning began; undefined after its end. */
  #learningDeletions;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#adaptersKey = ADAPTERS_PREFIX + dataset;
    this.#deletionsKey = DELETIONS_PREFIX + dataset;
  }

  /** Adapters by run name. */
  get adapters() {
    return this.#stored.deletions === this.#deletions ? this.#stored.adapters : {};
  }

  /** Return whether an adapter is being learned. */
  get isLearning() {
    return this.#learningDeletions === this.#deletions;
  }

  /** Deletion count; 0 until an adapter is learned for the first time. */
  get #deletions() {
    return this.#unstoredDeletions ?? (Number(readStored(this.#deletionsKey)) || 0);
  }

  /** @param {number} count */
  #setDeletions(count) {
    this.#unstoredDeletions = writeStored(this.#deletionsKey, count) ? undefined : count;
  }

  /** Load the stored adapters. */
  load() {
    this.#stored = readStored(this.#adaptersKey) ?? { deletions: 0, adapters: {} };
    // A tab that had not yet seen the deletion of another tab stored these.
    if (!(this.#stored.deletions >= this.#deletions)) writeStored(this.#adaptersKey, null);
  }

  /**
   * Learn adapters from the history, one model after the other, in a worker.
   *
   * @param {LoadedModel[]} models models that can learn an adapter.
   * @returns {Promise<{stored: boolean, problem: string} | null>} whether the browser stored the
   *     adapters, and the message of a failure; null if adapters were deleted meanwhile.
   */
  async learn(models) {
    if (this.#deletions === 0) this.#setDeletions(1);
    const deletions = this.#deletions;
    this.#learningDeletions = deletions;
    /** @type {Record<string, Adapter>} */
    const learned = {};
    let problem = "";
    for (const { model, recommender, knownItems } of models) {
      try {
        learned[recommender.model.run] = await learnInWorker(model, knownItems);
      } catch (error) {
        problem = `Learning failed: ${/** @type {Error} */ (error).message}`;
      }
    }
    if (deletions !== this.#deletions) return null;
    this.#learningDeletions = undefined;
    // Drop adapters of older models even if learning failed, or each refresh would repeat it.
    const outdated = models.filter(isOutdated).map(({ recommender }) => recommender.model.run);
    const stored = this.#save({ ...omitRuns(this.adapters, outdated), ...learned }, deletions);
    return { stored, problem };
  }

  /**
   * Delete the adapters of some runs, by default all, and discard those that any tab is learning.
   *
   * @param {string[]} runs
   * @returns {boolean} whether the browser stored the remaining adapters.
   */
  delete(runs = Object.keys(this.adapters)) {
    // No tab has ever learned an adapter: store no count, as the models may not support adapters.
    if (this.#deletions === 0) return true;
    const deletions = this.#deletions + 1;
    // Store the count last: a tab that reads it finds the remaining adapters already stored.
    const stored = this.#save(omitRuns(this.adapters, runs), deletions);
    this.#setDeletions(deletions);
    return stored;
  }

  /**
   * Store deleted adapters again, unless the run has learned another one since.
   *
   * @param {Record<string, Adapter>} adapters adapters by run name.
   * @returns {boolean} whether the browser stored them.
   */
  restore(adapters) {
    if (Object.keys(adapters).length === 0) return true;
    return this.#save({ ...adapters, ...this.adapters }, this.#deletions);
  }

  /**
   * @param {Record<string, Adapter>} adapters
   * @param {number} deletions
   */
  #save(adapters, deletions) {
    this.#stored = { deletions, adapters };
    const isEmpty = Object.keys(adapters).length === 0;
    return writeStored(this.#adaptersKey, isEmpty ? null : this.#stored);
  }
}

/**
 * @param {Record<string, Adapter>} adapters
 * @param {string[]} runs
 */
function omitRuns(adapters, runs) {
  return Object.fromEntries(Object.entries(adapters).filter(([run]) => !runs.includes(run)));
}
