/** Checks of a model before it replaces another: it is not older, and it answers. */

import { BundleError } from "./bundle_error.js";

/** @import { Model } from "./bundle.js" */
/** @import { LoadedModel } from "./loaded_model.js" */

/**
 * Check that a model is not older than the current one, by `sequence` and then `created`.
 *
 * @param {Model} next
 * @param {Model} current
 * @throws {BundleError} it is older.
 */
export function requireNotOlder(next, current) {
  const [sequence, created] = orderOf(next);
  const [currentSequence, currentCreated] = orderOf(current);
  if (sequence > currentSequence || (sequence === currentSequence && created >= currentCreated)) {
    return;
  }
  const unknown = "at an unknown time";
  throw new BundleError(
    `The model is older than the model in use: sequence ${sequence}, created ${created || unknown}, ` +
      `not sequence ${currentSequence}, created ${currentCreated || unknown}; give ` +
      "rollback: true to return to it.",
  );
}

/**
 * Return the place of a model among its versions; models without one come first.
 *
 * @param {Model} model
 * @returns {[number, string]}
 */
function orderOf({ sequence = 0, created = "" }) {
  return [sequence, created];
}

/**
 * Load a model, and check that it answers an empty history and one of its first items. The memory of
 * one that does not is freed.
 *
 * @param {() => Promise<LoadedModel>} load
 * @throws {BundleError} the graph cannot be loaded or fails, or a list is empty or has scores that
 *     are not finite.
 */
export async function loadProven(load) {
  /** @type {LoadedModel | undefined} */
  let model;
  try {
    model = await load();
    requireAnswers(model);
    return model;
  } catch (error) {
    model?.close();
    const { message } = /** @type {Error} */ (error);
    throw new BundleError(`The model does not answer (${message}); export its run again.`, {
      cause: error,
    });
  }
}

/** @param {LoadedModel} model */
function requireAnswers(model) {
  const { history_length: historyLength, top_k: topK } = model.model;
  const { items } = model;
  // A model that excludes the history has no item to recommend after a history of all.
  const first = items.slice(0, Math.min(historyLength, items.length - 1));
  for (const [what, history] of Object.entries({
    "an empty history": [],
    "the first items": first,
  })) {
    const list = model.recommend(history, Math.min(topK, items.length));
    if (list.length === 0) throw new Error(`no item is recommended after ${what}`);
    if (!list.every(({ score }) => Number.isFinite(score))) {
      throw new Error(`a score after ${what} is not finite`);
    }
  }
}
