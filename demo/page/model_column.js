/** A model of the page, and the result of running it on the user's history. */

import { includedEntries } from "./history.js";
import { currentAdapter } from "./learning.js";
import { loadModel } from "./models.js";
import { LIST_LENGTH } from "./recommendations_view.js";
import { requestFeatures } from "./user_inputs.js";

/** @import { Adapter, Features, RawItem, Recommendation, Recommender } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */
/** @import { LoadedModel } from "./learning.js" */
/** @import { NamedModel } from "./models.js" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @typedef {object} ListedResult
 * @property {ModelColumn} column
 * @property {RawItem[] | null} previousItems items that its list showed before the last change.
 */

/**
 * @typedef {object} Recommended
 * @property {Features} features features of the request.
 * @property {Recommendation[]} recommendations
 * @property {undefined} [error]
 */

/** @typedef {ListedResult & LoadedModel & Recommended} ModelResult */

/** @typedef {ListedResult & {model: NamedModel, error: Error}} FailedResult */

/** A model of the page, loaded on first use. */
export class ModelColumn {
  /** @type {Promise<Recommender> | undefined} */
  #recommender;
  /** @type {RawItem[] | null} items that its list shows, best first. */
  #shownItems = null;

  /** @param {NamedModel} model */
  constructor(model) {
    this.model = model;
  }

  /** Load the model, once. */
  load() {
    this.#recommender ??= loadModel(this.model);
    return this.#recommender;
  }

  /**
   * Recommend for a history.
   *
   * @param {HistoryEntry[]} entries
   * @param {FeatureValues} userFeatures
   * @param {Record<string, Adapter>} adapters the user's adapters, by run name.
   * @returns {Promise<ModelResult | FailedResult>}
   */
  async recommend(entries, userFeatures, adapters) {
    const listed = { column: this, model: this.model, previousItems: this.#shownItems };
    try {
      const recommender = await this.load();
      // The model may know no item of a stored history; `recommend` throws on such a history.
      const known = includedEntries(entries).filter(({ item }) => recommender.knows(item));
      const knownItems = known.map(({ item }) => item);
      const features = requestFeatures(recommender.features, known, userFeatures, Date.now());
      const adapter = adapters[recommender.model.run];
      const recommendations = await recommender.recommend(knownItems, recommender.topK, {
        features,
        adapter: currentAdapter(recommender, adapter),
      });
      return { ...listed, recommender, knownItems, features, adapter, recommendations };
    } catch (error) {
      return { ...listed, error: /** @type {Error} */ (error) };
    }
  }

  /**
   * Set the items that the list shows, for comparison with the next result.
   *
   * @param {Recommendation[]} [recommendations] without them, the next result has no changes.
   */
  setShown(recommendations) {
    this.#shownItems = recommendations?.slice(0, LIST_LENGTH).map(({ item }) => item) ?? null;
  }
}
