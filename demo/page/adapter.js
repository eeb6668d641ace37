/**
 * What a file learned of its user: plain values, as JSON keeps them, the same as in Python.
 *
 * To forget it, drop it.
 */

import { listOf, NO_ITEM } from "./known.js";

/** The number of the layout; any other is refused. */
const FORMAT = 1;

/**
 * @typedef {object} Adapter
 * @property {number} format
 * @property {string} model the hash of the graph that learned it; no other takes it.
 * @property {number[]} vector added to the context of every history; zeros if it did not help.
 * @property {number | null} before how surprising the last activities were to the model as it was
 *     shipped: the mean cross entropy of those that were held back ...
 * @property {number | null} after ... and with what was learned from the others.
 */

/**
 * @typedef {object} Settings how a file learns: `adapt` of model.json, as far as it is read here.
 * @property {number} activities how many are read, M.
 * @property {number} held_back how many of these say whether it helped.
 * @property {number} half_life an activity so many before the last counts half.
 */

/**
 * Put together what a file gave.
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
 * Tell whether it helped: otherwise it changes nothing.
 *
 * @param {Adapter} adapter
 */
export function isKept({ vector }) {
  return vector.some((each) => each !== 0);
}

/**
 * Give the fewest known items that a file learns from. The first is learned from only as what came
 * before the second.
 *
 * @param {Settings} settings
 */
export function leastToLearn({ held_back }) {
  return held_back + 2;
}

/**
 * Give what a file learns from: the last M known items at the right end, and how much each counts.
 *
 * @param {number[]} ids of a history, NO_ITEM for what the model does not know.
 * @param {Iterable<number> | undefined} weights how much each counts; by default the more the later.
 * @param {Settings} settings
 * @returns {{activities: Int32Array, weights: Float32Array}}
 * @throws {RangeError} too few are known, or the weights are not as many, negative or no numbers.
 */
export function activitiesOf(ids, weights, settings) {
  const { activities: most, half_life: halfLife } = settings;
  const known = [...ids.keys()].filter((place) => ids[place] !== NO_ITEM);
  const least = leastToLearn(settings);
  if (known.length < least) {
    throw new RangeError(
      `items has ${known.length} that the model knows, and learning takes ${least} or more; wait ` +
        "until there are so many",
    );
  }
  const all = weights && given(weights, ids.length);
  const counts = known.map((place, number) =>
    all ? all[place] : 0.5 ** ((known.length - 1 - number) / halfLife),
  );
  const last = known.slice(-most);
  const found = { activities: new Int32Array(most), weights: new Float32Array(most) };
  found.activities.set(
    last.map((place) => ids[place]),
    most - last.length,
  );
  found.weights.set(counts.slice(-most), most - last.length);
  return found;
}

/**
 * Refuse an adapter that is of another model, or none.
 *
 * @param {Adapter} adapter
 * @param {string} model the hash of the graph.
 * @param {number} width of a context, D.
 * @throws {RangeError} it is so.
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
function given(weights, count) {
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
