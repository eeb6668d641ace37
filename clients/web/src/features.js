/** Input features of a model, and the encoding of a caller's values. */

import { asList, formatValue } from "./item_index.js";

/** Inputs for an unknown id and for an unknown age. */
const NO_VALUE = 0;
const NO_AGE = -1;

/** Numbers of larger magnitude may overflow 32-bit floats, so they count as unknown. */
const MAX_NUMBER = 1e38;
const MAX_INT32 = 2 ** 31 - 1;

/**
 * @typedef {string | number | null | undefined} Value raw value: one of the log's values, a number,
 *     or the seconds from an activity to now. null, undefined, NaN and values not seen in training
 *     are unknown.
 */

/**
 * @typedef {Record<string, Value | Iterable<Value>>} Features values by feature name: for a feature
 *     of activities one value per item of the history, in its order; else a single value.
 */

/**
 * @typedef {object} InputFeature a feature that a model takes in addition to the items.
 * @property {string} name key in `Features` and name of the input.
 * @property {"activity" | "user" | "moment"} of owner of the value.
 * @property {"id" | "number" | "age"} kind one of `values`, a number, or the age of an activity.
 * @property {(string | number)[]} values kind `id`: all known raw values, as in the log; kind
 *     `number`: the edges of the buckets.
 */

/**
 * @typedef {Record<string, number | number[]>} EncodedFeatures inputs by feature name: one number
 *     per item of the history for a feature of activities, else a single number.
 */

/** Encoder of raw feature values. */
export class FeatureEncoder {
  #inputFeatures;
  /** @type {Map<string, Map<unknown, number>>} id of each value, by feature name. */
  #ids;

  /** @param {InputFeature[]} inputFeatures */
  constructor(inputFeatures) {
    this.#inputFeatures = inputFeatures;
    this.#ids = new Map(
      inputFeatures.map(({ name, values }) => [
        name,
        new Map(values.map((value, index) => [value, index + 1])),
      ]),
    );
  }

  /**
   * Encode the features of a history; missing features are unknown.
   *
   * @param {Features} features
   * @param {number} count number of items of the history.
   * @param {string} what plural noun for the items in error messages.
   * @returns {EncodedFeatures}
   * @throws {TypeError} a value is not a list, a single value or a number, as its feature requires.
   * @throws {RangeError} the model has no such feature, or the number of values is not `count`.
   */
  encode(features, count, what) {
    const names = this.#inputFeatures.map(({ name }) => name);
    const other = Object.keys(features).find((name) => !names.includes(name));
    if (other !== undefined) {
      const known = names.join(", ") || "none";
      throw new RangeError(`the model has no feature "${other}"; it has ${known}`);
    }
    const encoded = this.#inputFeatures.map((feature) => {
      const { name, of } = feature;
      if (of !== "activity") {
        return [name, this.#encodeValue(feature, requireSingle(feature, features[name]))];
      }
      const values = features[name] === undefined ? Array(count).fill(null) : features[name];
      const list = requirePerItem(name, values, count, what);
      return [name, list.map((value) => this.#encodeValue(feature, value))];
    });
    return Object.fromEntries(encoded);
  }

  /**
   * Return the input for an unknown value; for the ids of the items this is NO_ITEM.
   *
   * @param {string} name name of an input.
   */
  unknownInput(name) {
    return unknownOf(this.#inputFeatures.find((feature) => feature.name === name)?.kind);
  }

  /**
   * @param {InputFeature} feature
   * @param {unknown} value
   */
  #encodeValue({ name, kind }, value) {
    if (kind === "id") return this.#ids.get(name)?.get(value) ?? NO_VALUE;
    if (value === null || value === undefined) return unknownOf(kind);
    if (typeof value !== "number") {
      const expected = kind === "number" ? "a number" : "a number of seconds";
      throw new TypeError(
        `the value ${formatValue(value)} of "${name}" is not a number; give ${expected}, or null ` +
          "if it is unknown",
      );
    }
    if (!(Math.abs(value) <= MAX_NUMBER)) return unknownOf(kind);
    // Rounded down, so that an activity less than a second in the future has an unknown age.
    return kind === "number" ? value : Math.min(Math.max(Math.floor(value), NO_AGE), MAX_INT32);
  }
}

/** @param {InputFeature["kind"] | undefined} kind undefined for the ids of the items. */
function unknownOf(kind) {
  if (kind === "number") return Number.NaN;
  return kind === "age" ? NO_AGE : NO_VALUE;
}

/**
 * @param {InputFeature} feature
 * @param {Value | Iterable<Value>} value
 */
function requireSingle({ name, of }, value) {
  if (typeof value === "object" && value !== null) {
    throw new TypeError(
      `"${name}", a feature of the ${of}, is ${formatValue(value)}; give one value`,
    );
  }
  return value;
}

/**
 * @param {string} name
 * @param {Value | Iterable<Value>} given
 * @param {number} count number of items.
 * @param {string} what plural noun for the items in error messages.
 */
function requirePerItem(name, given, count, what) {
  const values = asList(/** @type {Iterable<Value>} */ (given), `values of "${name}"`);
  if (values.length !== count) {
    throw new RangeError(
      `${values.length} values of "${name}" for ${count} ${what}; give one for each`,
    );
  }
  return values;
}
