/** The user's data: history, own feature values and adapters, stored in this browser only. */

import { AdapterStore } from "./adapter_store.js";
import { setValue } from "./history.js";
import { HistoryStore } from "./history_store.js";

/** @import { Adapter } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @typedef {object} Snapshot data that a deletion removed.
 * @property {HistoryEntry[]} entries
 * @property {FeatureValues} userFeatures
 * @property {Record<string, Adapter>} adapters by run name.
 */

/** The data of the user for the models of one data set. */
export class UserData {
  /** @type {HistoryEntry[]} the oldest first. */
  entries = [];
  /** @type {FeatureValues} */
  userFeatures = {};
  #historyStore;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#historyStore = new HistoryStore(dataset);
    this.adapterStore = new AdapterStore(dataset);
  }

  /** Load what is stored. */
  load() {
    this.entries = this.#historyStore.load();
    this.userFeatures = this.#historyStore.loadUserFeatures();
    this.adapterStore.load();
  }

  /**
   * Set and store the history.
   *
   * @param {HistoryEntry[]} entries
   * @returns {boolean} whether the browser stored it.
   */
  setEntries(entries) {
    this.entries = entries;
    // Adapters are deleted with the history from which they were learned.
    if (entries.length === 0) this.adapterStore.delete();
    return this.#historyStore.save(entries);
  }

  /**
   * Set and store a feature value of the user, as `setEntries` does the history.
   *
   * @param {string} name name of the feature.
   * @param {string | number | undefined} value undefined if unknown.
   */
  setUserFeature(name, value) {
    this.userFeatures = setValue(this.userFeatures, name, value);
    return this.#historyStore.saveUserFeatures(this.userFeatures);
  }

  /**
   * Delete the history and its adapters.
   *
   * @param {boolean} withFeatures whether to delete the feature values of the user too.
   * @returns {Snapshot} what was deleted.
   */
  delete(withFeatures) {
    const { entries, userFeatures } = this;
    const snapshot = { entries, userFeatures, adapters: this.adapterStore.adapters };
    this.setEntries([]);
    if (withFeatures) {
      this.userFeatures = {};
      this.#historyStore.saveUserFeatures({});
    }
    return snapshot;
  }

  /**
   * Restore what a deletion removed, and keep what was entered since.
   *
   * @param {Snapshot} snapshot
   * @returns {boolean} whether the browser stored it.
   */
  restore({ entries, userFeatures, adapters }) {
    const isNew = (/** @type {HistoryEntry} */ { item }) =>
      entries.every((entry) => entry.item !== item);
    this.userFeatures = { ...userFeatures, ...this.userFeatures };
    const stored = [
      this.setEntries([...entries, ...this.entries.filter(isNew)]),
      this.#historyStore.saveUserFeatures(this.userFeatures),
      this.adapterStore.restore(adapters),
    ];
    return stored.every(Boolean);
  }
}
