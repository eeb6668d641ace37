/**
 * Adapters: parameters that a model learned for one user, in the same JSON layout as in Python.
 *
 * The model keeps no copy: to forget a user, delete the adapter.
 */

import { listOf, NO_ITEM } from "./known.js";

/** Version of the layout; any other version is an error. */
const FORMAT = 1;

/**
 * @typedef {object} Adapter
 * @property {number} format
 * @property {string} model SHA-256 of the graph that fitted it; other graphs reject it.
 * @property {number[]} vector added to the query of every history, [D]; zeros if it did not help.
 * @property {number | null} before mean cross entropy of the held-out last activities without the
 *     vector; null where nothing was held out.
 * @property {number | null} after the same with the vector learned from the other activities.
 */

/**
 * @typedef {object} Settings settings of adapters: the fields of `adapt` in model.json used here.
 * @property {number} activities maximum number of activities read, M.
 * @property {number} held_back number of these that are held out to check that the adapter helps.
 * @property {number} half_life number of activities after which a default weight halves.
 */

/**
 * Convert the outputs of the graph to an adapter.
 *
 * @param {string} model
 * @param {Record<string, import("./signature.js").Row>} learned
 * @returns {Adapter}
 */
export function adapterOf(model, { adapter, before, after }) {
  return {
    format: FORMAT,
    model,
    vector: Array.from(adapter),
    before: numberOrNull(before[0]),
    after: numberOrNull(after[0]),
  };
}

/**
 * Check whether an adapter helped; otherwise its vector is zero and has no effect.
 *
 * @param {Adapter} adapter
 */
export function isKept({ vector }) {
  return vector.some((each) => each !== 0);
}

/**
 * Return the minimum number of known items to fit an adapter. The first item is not a target: it is
 * only the history of the second.
 *
 * @param {Settings} settings
 */
export function leastToLearn({ held_back }) {
  return held_back + 2;
}

/**
 * Build the inputs of an adapter's fit: the last M known items, right-aligned, and their weights.
 *
 * @param {number[]} ids ids of a history, NO_ITEM for unknown items.
 * @param {Iterable<number> | undefined} weights one per item; by default halved every half_life.
 * @param {Settings} settings
 * @returns {{activities: Int32Array, weights: Float32Array}} both [M].
 * @throws {RangeError} too few items are known, or the weights are not one number >= 0 per item.
 */
export function activitiesOf(ids, weights, settings) {
  const { activities: maximum, half_life: halfLife } = settings;
  const known = [...ids.keys()].filter((index) => ids[index] !== NO_ITEM);
  const least = leastToLearn(settings);
  if (known.length < least) {
    throw new RangeError(
      `items has ${known.length} that the model knows, and learning takes ${least} or more; wait ` +
        "until there are so many",
    );
  }
  const all = weights && checkedWeights(weights, ids.length);
  const knownWeights = known.map((index, number) =>
    all ? all[index] : 0.5 ** ((known.length - 1 - number) / halfLife),
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
 * Check that an adapter is valid and belongs to a model.
 *
 * @param {Adapter} adapter
 * @param {string} model SHA-256 of the graph.
 * @param {number} width size of a query, D.
 * @throws {RangeError} it is invalid or belongs to another model.
 */
export function requireFit({ format, model: of, vector }, model, width) {
  const again = "learn it again from the history";
  if (format !== FORMAT || !Array.isArray(vector)) {
    throw new RangeError(`this is no adapter of the format ${FORMAT}; ${again}`);
  }
  if (of !== model) {
    const [its, this_] = [of, model].map((hash) => String(hash).slice(0, 12));
    throw new RangeError(`the adapter is of the model ${its}, this is ${this_}; ${again}`);
  }
  if (vector.length !== width) {
    throw new RangeError(
      `the adapter has the shape [${vector.length}], the model takes [${width}]; ${again}`,
    );
  }
  if (!vector.every(Number.isFinite)) {
    throw new RangeError(`the adapter holds what is no number; ${again}`);
  }
}

/**
 * @param {Iterable<number>} weights
 * @param {number} count
 */
function checkedWeights(weights, count) {
  const all = listOf(weights, "weights");
  if (all.length !== count) {
    throw new RangeError(`weights has ${all.length} entries for ${count} items; give one each`);
  }
  if (!all.every((each) => Number.isFinite(each) && each >= 0)) {
    throw new RangeError("weights holds what is less than 0 or no number; give 0 or more");
  }
  return all;
}

/** @param {number} value */
function numberOrNull(value) {
  return Number.isNaN(value) ? null : value;
}
