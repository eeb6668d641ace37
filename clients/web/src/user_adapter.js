/**
 * Adapters: vectors that a model learned for one user, in the same JSON layout as in Python.
 *
 * The model keeps no copy: to forget what was learned, delete the adapter.
 */

import { BundleError } from "./bundle_error.js";
import { asList, NO_ITEM } from "./item_index.js";
import { ADAPTER } from "./signature.js";

/** @import { Model } from "./bundle.js" */
/** @import { Row } from "./signature.js" */

/** Version of the layout; any other version is an error. */
const FORMAT = 1;

/**
 * @typedef {object} Adapter
 * @property {number} format
 * @property {string} model SHA-256 of the graph that learned it; no other graph accepts it.
 * @property {number[]} vector added to the query of every history, [D]; zeros if it did not help.
 * @property {number | null} before mean cross entropy of the held-out last activities without the
 *     vector; null if no activity was held out.
 * @property {number | null} after the same with a vector learned from the other activities.
 */

/**
 * @typedef {object} AdaptSettings the fields of `adapt` in model.json that are used here.
 * @property {number} activities maximum number of activities read, M.
 * @property {number} held_out number of these that are held out to check that the adapter helps.
 * @property {number} half_life number of activities after which a default weight halves.
 */

/**
 * Convert the outputs of the signature `adapt` to an adapter.
 *
 * @param {string} model SHA-256 of the graph.
 * @param {Record<string, Row>} outputs
 * @returns {Adapter}
 */
export function toAdapter(model, { adapter, before, after }) {
  return {
    format: FORMAT,
    model,
    vector: Array.from(adapter),
    before: numberOrNull(before[0]),
    after: numberOrNull(after[0]),
  };
}

/**
 * Check whether an adapter has an effect; the vector of one that did not help is zero.
 *
 * @param {Adapter} adapter
 */
export function isKept({ vector }) {
  return vector.some((each) => each !== 0);
}

/**
 * Return the minimum number of known items to learn an adapter. The first item is not a target: it
 * is only the history of the second. One more target is needed for training.
 *
 * @param {AdaptSettings} settings
 */
export function minKnownItems({ held_out }) {
  return held_out + 2;
}

/**
 * Return the settings for learning adapters.
 *
 * @param {Model} model
 * @returns {AdaptSettings}
 * @throws {BundleError} the file was exported without --adapt.
 */
export function requireAdaptSettings({ adapt }) {
  if (adapt) return adapt;
  throw new BundleError("The file has no signature `adapt`; export its run with --adapt.");
}

/**
 * Build the inputs of the signature `adapt`: the last M known items, right-aligned, and their
 * weights.
 *
 * @param {number[]} ids ids of a history, NO_ITEM for unknown items.
 * @param {Iterable<number> | undefined} weights one per item; by default 1 for the last known item,
 *     halved every `half_life` known items before it.
 * @param {AdaptSettings} settings
 * @returns {{activities: Int32Array, weights: Float32Array}} both [M].
 * @throws {RangeError} too few items are known, or the weights are not one number >= 0 per item.
 */
export function adaptInputs(ids, weights, settings) {
  const { activities: maximum, half_life: halfLife } = settings;
  const known = [...ids.keys()].filter((index) => ids[index] !== NO_ITEM);
  const minimum = minKnownItems(settings);
  if (known.length < minimum) {
    throw new RangeError(
      `items has ${known.length} known items, and an adapter needs ${minimum} or more; call this ` +
        "with a longer history",
    );
  }
  const given = weights && requireWeights(weights, ids.length);
  const knownWeights = known.map((index, rank) =>
    given ? given[index] : 0.5 ** ((known.length - 1 - rank) / halfLife),
  );
  const last = known.slice(-maximum);
  const inputs = { activities: new Int32Array(maximum), weights: new Float32Array(maximum) };
  inputs.activities.set(
    last.map((index) => ids[index]),
    maximum - last.length,
  );
  inputs.weights.set(knownWeights.slice(-maximum), maximum - last.length);
  return inputs;
}

/**
 * Return the input for an adapter, after checking that it is valid and belongs to a model.
 *
 * @param {Adapter} adapter
 * @param {string} model SHA-256 of the graph.
 * @param {number} width width of a query, D.
 * @throws {RangeError} it is invalid, or belongs to another model.
 */
export function adapterInput({ format, model: learnedBy, vector }, model, width) {
  const remedy = "learn it again from the history";
  if (!Array.isArray(vector)) throw new RangeError(`this is not an adapter; ${remedy}`);
  if (format !== FORMAT) {
    throw new RangeError(
      `the adapter has format ${format}, this version reads ${FORMAT}; ${remedy}`,
    );
  }
  if (learnedBy !== model) {
    const [other, expected] = [learnedBy, model].map((hash) => String(hash).slice(0, 12));
    throw new RangeError(
      `the adapter belongs to the model ${other}, this is ${expected}; ${remedy}`,
    );
  }
  if (vector.length !== width) {
    throw new RangeError(
      `the adapter has the shape [${vector.length}], the model takes [${width}]; ${remedy}`,
    );
  }
  if (!vector.every(Number.isFinite)) {
    throw new RangeError(`the adapter has values that are not finite; ${remedy}`);
  }
  return { [ADAPTER]: new Float32Array(vector) };
}

/**
 * @param {Iterable<number>} weights
 * @param {number} count number of items.
 */
function requireWeights(weights, count) {
  const list = asList(weights, "weights");
  if (list.length !== count) {
    throw new RangeError(`weights has ${list.length} entries for ${count} items; give one each`);
  }
  if (!list.every((each) => Number.isFinite(each) && each >= 0)) {
    throw new RangeError("weights has values that are negative or not finite; give 0 or more");
  }
  return list;
}

/** @param {number} value */
function numberOrNull(value) {
  // JSON has no NaN, the value of both losses if no activity was held out.
  return Number.isNaN(value) ? null : value;
}
