/** Features of a model, and the encoding of a caller's values as inputs of the graph. */

import { listOf, NO_ITEM, shown } from "./known.js";
import { newRow } from "./signature.js";

/** Name of the input for the items' ids. */
const HISTORY = "history";

/** Encodings of an unknown value: as an id, and as an age. */
const NO_VALUE = 0;
const NO_AGE = -1;

/** Numbers of larger magnitude do not fit 32-bit floats and count as unknown. */
const LARGEST = 1e38;
const LAST_INT32 = 2 ** 31 - 1;

/**
 * @typedef {string | number | null | undefined} Value raw value: one of the log's values, a number,
 *     or the seconds from an activity to now. null, undefined, NaN and values not seen in training
 *     are unknown.
 */

/**
 * @typedef {Record<string, Value | Iterable<Value>>} Features values by feature name: for a feature
 *     of activities one value per item of the history, in its order; else one value.
 */

/**
 * @typedef {object} TakenFeature a feature that the model takes.
 * @property {string} name key in `Features` and name of the input.
 * @property {"activity" | "user" | "moment"} of owner of the value.
 * @property {"id" | "number" | "age"} kind one of `values`, a number, or the age of an activity.
 * @property {(string | number)[]} values kind `id`: all known raw values, as in the log; kind
 *     `number`: the edges of the buckets.
 */

/** @typedef {Record<string, number | number[]>} Numbers encoded values by feature name. */

/** Encodes raw feature values as inputs of the graph. */
export class KnownFeatures {
  #taken;
  /** @type {Map<string, Map<unknown, number>>} ids of each feature's values; 0 is unknown. */
  #ids;

  /** @param {TakenFeature[]} taken */
  constructor(taken) {
    this.#taken = taken;
    this.#ids = new Map(
      taken.map(({ name, values }) => [name, new Map(values.map((value, at) => [value, at + 1]))]),
    );
  }

  /**
   * Encode the features of a history; missing features are unknown.
   *
   * @param {Features} given
   * @param {number} count number of items of the history.
   * @param {string} what plural noun for the items in error messages.
   * @returns {Numbers}
   * @throws {TypeError} a value is not a list, a single value or a number, as its feature requires.
   * @throws {RangeError} the model has no such feature, or the number of values is not `count`.
   */
  numbersOf(given, count, what) {
    const names = this.#taken.map(({ name }) => name);
    const other = Object.keys(given).find((name) => !names.includes(name));
    if (other !== undefined) {
      const known = names.join(", ") || "none";
      throw new RangeError(`the model takes no feature "${other}"; it takes ${known}`);
    }
    const numbers = this.#taken.map((feature) => {
      const { name, of } = feature;
      if (of !== "activity") return [name, this.#encode(feature, requireOne(feature, given[name]))];
      const values = given[name] === undefined ? Array(count).fill(null) : given[name];
      const all = requireOnePerItem(name, values, count, what);
      return [name, all.map((value) => this.#encode(feature, value))];
    });
    return Object.fromEntries(numbers);
  }

  /**
   * Build the inputs: the last known activities, right-aligned with padding at the left, and the
   * features of user and moment.
   *
   * @param {import("./signature.js").Port[]} ports
   * @param {number[]} ids ids of all items of the history.
   * @param {Numbers} numbers encoded features of the history.
   */
  fill(ports, ids, numbers) {
    const known = [...ids.keys()].filter((index) => ids[index] !== NO_ITEM);
    /** @type {Numbers} */
    const columns = { ...numbers, [HISTORY]: ids };
    /** @type {Record<string, import("./signature.js").Row>} */
    const inputs = {};
    for (const port of ports) {
      const row = newRow(port).fill(this.#unknownOf(port.name));
      const values = columns[port.name];
      if (typeof values === "number") {
        row.fill(values);
      } else {
        const last = known.slice(-port.length).map((index) => values[index]);
        row.set(last, port.length - last.length);
      }
      inputs[port.name] = row;
    }
    return inputs;
  }

  /** @param {string} name name of an input. */
  #unknownOf(name) {
    return unknownOf(this.#taken.find((feature) => feature.name === name)?.kind);
  }

  /**
   * @param {TakenFeature} feature
   * @param {unknown} value
   */
  #encode({ name, kind }, value) {
    if (kind === "id") return this.#ids.get(name)?.get(value) ?? NO_VALUE;
    if (value === null || value === undefined) return unknownOf(kind);
    if (typeof value !== "number") {
      const what = kind === "number" ? "a number" : "seconds, a number";
      throw new TypeError(
        `the value ${shown(value)} of "${name}" is no number; give ${what}, or null where it is ` +
          "not known",
      );
    }
    if (!(Math.abs(value) <= LARGEST)) return unknownOf(kind);
    // Rounded down to whole seconds: a time in the future, even by less than 1 s, becomes NO_AGE.
    return kind === "number" ? value : Math.min(Math.max(Math.floor(value), NO_AGE), LAST_INT32);
  }
}

/** @param {TakenFeature["kind"] | undefined} kind undefined for the items' ids. */
function unknownOf(kind) {
  if (kind === "number") return Number.NaN;
  return kind === "age" ? NO_AGE : NO_VALUE;
}

/**
 * @param {TakenFeature} feature
 * @param {Value | Iterable<Value>} value
 */
function requireOne({ name, of }, value) {
  if (typeof value === "object" && value !== null) {
    throw new TypeError(`"${name}" is of the ${of}, and is ${shown(value)}; give one value`);
  }
  return value;
}

/**
 * @param {string} name
 * @param {Value | Iterable<Value>} given
 * @param {number} count number of items.
 * @param {string} what
 */
function requireOnePerItem(name, given, count, what) {
  const values = listOf(/** @type {Iterable<Value>} */ (given), `values of "${name}"`);
  if (values.length !== count) {
    throw new RangeError(
      `${values.length} values of "${name}" for ${count} ${what}; give one for each`,
    );
  }
  return values;
}
