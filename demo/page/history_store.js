/** Storage of the history and of the user's own feature values, only in this browser. */

import { readStored, writeStored } from "./storage.js";

/** @import { HistoryEntry } from "./history.js" */
/** @import { RawItem } from "jaxrec" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @typedef {object} StoredEntry layout of a stored entry. Histories stored by older releases have
 *     these names, so they must not change.
 * @property {RawItem} item
 * @property {boolean} without `excluded` of the entry.
 * @property {number} [at]
 * @property {FeatureValues} [told] `features` of the entry.
 */

/** Prefixes of the keys, which also must not change. */
const HISTORY_PREFIX = "jaxrec history ";
const USER_PREFIX = "jaxrec user ";

/**
 * Local storage of the history and of the user's own feature values, for one data set.
 *
 * If the browser refuses to store them, they last as long as the page.
 */
export class HistoryStore {
  #historyKey;
  #userKey;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#historyKey = HISTORY_PREFIX + dataset;
    this.#userKey = USER_PREFIX + dataset;
  }

  /**
   * Load the history; empty if none is stored or it cannot be read.
   *
   * @returns {HistoryEntry[]}
   */
  load() {
    try {
      /** @type {StoredEntry[]} */
      const entries = readStored(this.#historyKey) ?? [];
      return entries
        .filter(({ item }) => isValue(item))
        .map(({ item, without, at, told }) => ({
          item,
          excluded: Boolean(without),
          at: Number.isFinite(at) ? at : undefined,
          features: told ? filterValues(told) : undefined,
        }));
    } catch {
      return [];
    }
  }

  /**
   * Store the history.
   *
   * @param {HistoryEntry[]} entries
   * @returns {boolean} whether the browser stored it.
   */
  save(entries) {
    /** @type {StoredEntry[]} */
    const stored = entries.map(({ item, excluded, at, features }) => ({
      item,
      without: excluded,
      at,
      told: features,
    }));
    return writeStored(this.#historyKey, stored.length > 0 ? stored : null);
  }

  /**
   * Load the user's own feature values, as `load` does the history.
   *
   * @returns {FeatureValues}
   */
  loadUserFeatures() {
    return filterValues(readStored(this.#userKey) ?? {});
  }

  /**
   * Store the user's own feature values, as `save` does the history.
   *
   * @param {FeatureValues} values
   */
  saveUserFeatures(values) {
    return writeStored(this.#userKey, Object.keys(values).length > 0 ? values : null);
  }
}

/** @param {unknown} value */
function isValue(value) {
  return ["number", "string"].includes(typeof value);
}

/** @param {object} values */
function filterValues(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => isValue(value)));
}
