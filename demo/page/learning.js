/** What the models of a page have learned of a person: by a worker, kept in this browser alone. */

import { leastToLearn } from "./adapter.js";
import { keep } from "./history.js";

/** @typedef {import("./adapter.js").Adapter} Adapter */
/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./models.js").Listed} Listed */
/** @typedef {import("./recommender.js").Recommender} Recommender */

/**
 * @typedef {object} Asked a model, and whom it was asked about.
 * @property {{name: string}} model
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

/**
 * Have a worker learn, with the model's file loaded once more.
 *
 * @param {Listed} model
 * @param {Item[]} items the history.
 * @returns {Promise<Adapter>}
 * @throws {Error} it cannot; the message says why.
 */
export function learn(model, items) {
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

/** The place of what was learned: an adapter for each run, which outlives updates of its model. */
export class LearnedShelf {
  #key;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#key = LEARNED + dataset;
  }

  /**
   * Read what was kept; nothing, if there is nothing or it cannot be read.
   *
   * @returns {Record<string, Adapter>} by the names of the runs.
   */
  load() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? "{}");
      return typeof kept === "object" && kept !== null ? kept : {};
    } catch {
      return {};
    }
  }

  /**
   * Keep what was learned; tell whether the browser does.
   *
   * @param {Record<string, Adapter>} adapters
   */
  save(adapters) {
    return keep(this.#key, Object.keys(adapters).length > 0 ? adapters : null);
  }
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
