/** Adapters of the page's models: fitted in a worker, stored only in this browser. */

import { read, write } from "./storage.js";
import { minKnownItems } from "./user_adapter.js";

/** @typedef {import("./user_adapter.js").Adapter} Adapter */
/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./models.js").Listed} Listed */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommender.js").Recommender} Recommender */

/**
 * @typedef {object} LoadedModel a model, with the user's history and adapter.
 * @property {Named} model
 * @property {Recommender} recommender
 * @property {Item[]} known items of the history that the model knows.
 * @property {Adapter | undefined} learned the user's adapter, of this model or of an older version.
 */

/**
 * @typedef {object} Learner a model that can fit adapters.
 * @property {string} name
 * @property {import("./user_adapter.js").AdaptSettings} settings
 * @property {number} known number of items of the history that it knows.
 * @property {Adapter | undefined} adapter the user's adapter, if it is fitted.
 */

const LEARNED = "jaxrec learned ";
const DELETIONS = "jaxrec deletions ";

/**
 * @typedef {object} Stored adapters, and the deletion count at the start of their fit.
 * @property {number} deletions
 * @property {Record<string, Adapter>} adapters adapters by run name.
 */

/**
 * Fit an adapter in a worker, which loads the model's file itself.
 *
 * @param {Listed} model
 * @param {Item[]} items history.
 * @returns {Promise<Adapter>}
 * @throws {Error} the worker failed; the message has the reason.
 */
function learn(model, items) {
  const worker = new Worker(new URL("./adapter_worker.js", import.meta.url));
  /** @type {Promise<Adapter>} */
  const learned = new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => {
      if (data.adapter) resolve(data.adapter);
      else reject(new Error(data.error));
    });
    worker.addEventListener("error", ({ message }) => {
      reject(new Error(message || "The worker cannot be loaded. Reload to try again."));
    });
    worker.postMessage({ model, items });
  });
  return learned.finally(() => worker.terminate());
}

/**
 * The user's adapters, one for each run; they are kept when the run's model is updated.
 *
 * All tabs share a deletion count, which each deletion increments. An adapter is stored and used
 * only while the count has the value that it had when the fit began.
 */
export class AdapterStore {
  #learnedKey;
  #deletionsKey;
  /** @type {Stored} */
  #stored = { deletions: 0, adapters: {} };
  /** @type {number | undefined} deletion count, if the browser does not store it. */
  #unstoredDeletions;
  /** @type {number | undefined} deletion count when the latest fit began. */
  #fitDeletions;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#learnedKey = LEARNED + dataset;
    this.#deletionsKey = DELETIONS + dataset;
  }

  /** Adapters by run name. */
  get adapters() {
    return this.#stored.deletions === this.#deletions ? this.#stored.adapters : {};
  }

  /** Return whether an adapter is being fitted. */
  get isLearning() {
    return this.#fitDeletions === this.#deletions;
  }

  /** Deletion count; 0 until the first fit begins. */
  get #deletions() {
    return this.#unstoredDeletions ?? (Number(read(this.#deletionsKey)) || 0);
  }

  /** @param {number} count */
  #setDeletions(count) {
    this.#unstoredDeletions = write(this.#deletionsKey, count) ? undefined : count;
  }

  /** Load the stored adapters. */
  load() {
    this.#stored = read(this.#learnedKey) ?? { deletions: 0, adapters: {} };
    // A tab that had not yet seen the deletion of another tab stored these.
    if (!(this.#stored.deletions >= this.#deletions)) write(this.#learnedKey, null);
  }

  /**
   * Fit adapters to the history, one model after the other, in a worker.
   *
   * @param {LoadedModel[]} models models that can fit an adapter.
   * @returns {Promise<{stored: boolean, problem: string} | null>} whether the browser stored the
   *     adapters, and the message of a failure; null if adapters were deleted meanwhile.
   */
  async learn(models) {
    if (this.#deletions === 0) this.#setDeletions(1);
    const deletions = this.#deletions;
    this.#fitDeletions = deletions;
    /** @type {Record<string, Adapter>} */
    const learned = {};
    let problem = "";
    for (const { model, recommender, known } of models) {
      try {
        learned[recommender.model.run] = await learn(model, known);
      } catch (error) {
        problem = `Nothing was learned: ${/** @type {Error} */ (error).message}`;
      }
    }
    if (deletions !== this.#deletions) return null;
    this.#fitDeletions = undefined;
    // Drop adapters of older models even if the fit failed, or each refresh would retry it.
    const older = models.filter(isOlder).map(({ recommender }) => recommender.model.run);
    const stored = this.#save({ ...omitRuns(this.adapters, older), ...learned }, deletions);
    return { stored, problem };
  }

  /**
   * Delete the adapters of some runs, by default all, and discard the fits in progress in all tabs.
   *
   * @param {string[]} runs
   * @returns {boolean} whether the browser stored the remaining adapters.
   */
  forget(runs = Object.keys(this.adapters)) {
    // No fit has ever begun in any tab, so store no count: the models may not support adapters.
    if (this.#deletions === 0) return true;
    const deletions = this.#deletions + 1;
    // Store the count last: a tab that reads it finds the remaining adapters already stored.
    const stored = this.#save(omitRuns(this.adapters, runs), deletions);
    this.#setDeletions(deletions);
    return stored;
  }

  /**
   * @param {Record<string, Adapter>} adapters
   * @param {number} deletions
   */
  #save(adapters, deletions) {
    this.#stored = { deletions, adapters };
    const isEmpty = Object.keys(adapters).length === 0;
    return write(this.#learnedKey, isEmpty ? null : this.#stored);
  }
}

/**
 * @param {Record<string, Adapter>} adapters
 * @param {string[]} runs
 */
function omitRuns(adapters, runs) {
  return Object.fromEntries(Object.entries(adapters).filter(([run]) => !runs.includes(run)));
}

/**
 * Return the learner of a model, or an empty list if it cannot fit adapters.
 *
 * @param {LoadedModel} loaded
 * @returns {Learner[]}
 */
export function learnersOf({ model, recommender, known, learned }) {
  const settings = recommender.model.adapt;
  if (!settings) return [];
  const adapter = adapterFor(recommender, learned);
  return [{ name: model.name, settings, known: known.length, adapter }];
}

/** @param {Learner} learner */
export function canLearn({ settings, known }) {
  return known >= minKnownItems(settings);
}

/**
 * Check whether a model can fit an adapter to the current history.
 *
 * @param {LoadedModel} loaded
 */
export function learns(loaded) {
  return learnersOf(loaded).some(canLearn);
}

/**
 * Return the adapter if exactly this model fitted it.
 *
 * @param {Recommender} recommender
 * @param {Adapter | undefined} learned
 */
export function adapterFor({ model }, learned) {
  return learned?.model === model.graph.sha256 ? learned : undefined;
}

/**
 * Check whether the adapter belongs to an older version of the model.
 *
 * @param {LoadedModel} loaded
 */
export function isOlder({ recommender, learned }) {
  return learned !== undefined && adapterFor(recommender, learned) === undefined;
}
