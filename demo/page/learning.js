/** What the models of a page have learned of a person: by a worker, kept in this browser alone. */

import { leastToLearn } from "./adapter.js";
import { read, write } from "./storage.js";

/** @typedef {import("./adapter.js").Adapter} Adapter */
/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./models.js").Listed} Listed */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommender.js").Recommender} Recommender */

/**
 * @typedef {object} Asked a model, and whom it was asked about.
 * @property {Named} model
 * @property {Recommender} recommender
 * @property {Item[]} known the items of the history that it knows.
 * @property {Adapter | undefined} learned of the person, by this model or by an older one.
 */

/**
 * @typedef {object} Learner a model that can learn.
 * @property {string} name
 * @property {import("./adapter.js").Settings} settings
 * @property {number} known how many items of the history it knows.
 * @property {Adapter | undefined} adapter what it has learned.
 */

const LEARNED = "jaxrec learned ";
const DELETIONS = "jaxrec deletions ";

/**
 * @typedef {object} Stored adapters, and the count of deletions that they were learned under.
 * @property {number} deletions
 * @property {Record<string, Adapter>} adapters by the names of the runs.
 */

/**
 * Have a worker learn, with the model's file loaded once more.
 *
 * @param {Listed} model
 * @param {Item[]} items the history.
 * @returns {Promise<Adapter>}
 * @throws {Error} it cannot; the message says why.
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
 * The adapters of a person, one for each run; they outlive updates of its model.
 *
 * All tabs share a count of deletions, which every deletion increments. An adapter is stored and used
 * only while the count is the one under which learning began.
 */
export class AdapterStore {
  #learnedKey;
  #deletionsKey;
  /** @type {Stored} */
  #stored = { deletions: 0, adapters: {} };
  /** @type {number | undefined} the count of deletions, if the browser does not store it. */
  #ownDeletions;
  /** @type {number | undefined} the count under which the latest learning began. */
  #learningUnder;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#learnedKey = LEARNED + dataset;
    this.#deletionsKey = DELETIONS + dataset;
  }

  /** The adapters by the names of their runs. */
  get adapters() {
    return this.#stored.deletions === this.#deletions ? this.#stored.adapters : {};
  }

  get isLearning() {
    return this.#learningUnder === this.#deletions;
  }

  /** The count of deletions; 0 until learning begins for the first time. */
  get #deletions() {
    return this.#ownDeletions ?? (Number(read(this.#deletionsKey)) || 0);
  }

  /** @param {number} count */
  #setDeletions(count) {
    this.#ownDeletions = write(this.#deletionsKey, count) ? undefined : count;
  }

  /** Read what is stored. */
  load() {
    this.#stored = read(this.#learnedKey) ?? { deletions: 0, adapters: {} };
    // Stored by a tab that had not yet seen a deletion in another.
    if (!(this.#stored.deletions >= this.#deletions)) write(this.#learnedKey, null);
  }

  /**
   * Let models learn from the history, beside the page.
   *
   * @param {Asked[]} answers of models that can.
   * @returns {Promise<{stored: boolean, problem: string} | null>} whether the browser stores it, and
   *     why nothing was learned; null if something was deleted meanwhile.
   */
  async learn(answers) {
    if (this.#deletions === 0) this.#setDeletions(1);
    const deletions = this.#deletions;
    this.#learningUnder = deletions;
    /** @type {Record<string, Adapter>} */
    const learned = {};
    let problem = "";
    for (const { model, recommender, known } of answers) {
      try {
        learned[recommender.model.run] = await learn(model, known);
      } catch (error) {
        problem = `Nothing was learned: ${/** @type {Error} */ (error).message}`;
      }
    }
    if (deletions !== this.#deletions) return null;
    this.#learningUnder = undefined;
    // An older model's adapter is dropped even if learning failed, or it would be tried forever.
    const older = answers.filter(isOlder).map(({ recommender }) => recommender.model.run);
    const stored = this.#save({ ...without(this.adapters, older), ...learned }, deletions);
    return { stored, problem };
  }

  /**
   * Forget what some runs have learned, by default all, and what is being learned in any tab.
   *
   * @param {string[]} runs
   * @returns {boolean} whether the browser stores the rest.
   */
  forget(runs = Object.keys(this.adapters)) {
    // No tab has ever begun to learn, and the page of a model that cannot leaves no count behind.
    if (this.#deletions === 0) return true;
    const deletions = this.#deletions + 1;
    // The count is stored last: a tab that reads it finds the other adapters already stored.
    const stored = this.#save(without(this.adapters, runs), deletions);
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
function without(adapters, runs) {
  return Object.fromEntries(Object.entries(adapters).filter(([run]) => !runs.includes(run)));
}

/**
 * Describe a model that learns; nothing of one that does not.
 *
 * @param {Asked} asked
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
  return known >= leastToLearn(settings);
}

/**
 * Tell whether a model can learn from the history as it is.
 *
 * @param {Asked} asked
 */
export function learns(asked) {
  return learnersOf(asked).some(canLearn);
}

/**
 * Give what was learned, if this very model learned it.
 *
 * @param {Recommender} recommender
 * @param {Adapter | undefined} learned
 */
export function adapterFor({ model }, learned) {
  return learned?.model === model.graph.sha256 ? learned : undefined;
}

/**
 * Tell whether what was learned is of an older model.
 *
 * @param {Asked} asked
 */
export function isOlder({ recommender, learned }) {
  return learned !== undefined && adapterFor(recommender, learned) === undefined;
}
