/** The state of a model's adapter: whether it can be learned, and to which model it belongs. */

import { minKnownItems } from "jaxrec";

/** @import { Adapter, AdaptSettings, RawItem, Recommender } from "jaxrec" */
/** @import { NamedModel } from "./models.js" */

/**
 * @typedef {object} LoadedModel a model, with the user's history and adapter.
 * @property {NamedModel} model
 * @property {Recommender} recommender
 * @property {RawItem[]} knownItems items of the history that the model knows.
 * @property {Adapter | undefined} adapter the user's adapter, of this model or of an older version.
 */

/**
 * @typedef {object} AdapterState state of the adapter of a model that can learn adapters.
 * @property {string} name name of the model.
 * @property {AdaptSettings} settings
 * @property {number} knownCount number of items of the history that the model knows.
 * @property {Adapter | undefined} adapter the user's adapter, if this model has learned it.
 */

/**
 * Return the state of a model's adapter, or an empty list if the model cannot learn adapters.
 *
 * @param {LoadedModel} loaded
 * @returns {AdapterState[]}
 */
export function adapterStates({ model, recommender, knownItems, adapter }) {
  const settings = recommender.model.adapt;
  if (!settings) return [];
  return [
    {
      name: model.name,
      settings,
      knownCount: knownItems.length,
      adapter: currentAdapter(recommender, adapter),
    },
  ];
}

/**
 * Check whether the history has enough items to learn an adapter.
 *
 * @param {AdapterState} state
 */
export function hasEnoughItems({ settings, knownCount }) {
  return knownCount >= minKnownItems(settings);
}

/**
 * Check whether a model can learn an adapter from the current history.
 *
 * @param {LoadedModel} loaded
 */
export function canLearn(loaded) {
  return adapterStates(loaded).some(hasEnoughItems);
}

/**
 * Return the adapter if exactly this model has learned it.
 *
 * @param {Recommender} recommender
 * @param {Adapter | undefined} adapter
 */
export function currentAdapter({ model }, adapter) {
  return adapter?.model === model.graph.sha256 ? adapter : undefined;
}

/**
 * Check whether the adapter belongs to an older version of the model.
 *
 * @param {LoadedModel} loaded
 */
export function isOutdated({ recommender, adapter }) {
  return adapter !== undefined && currentAdapter(recommender, adapter) === undefined;
}
