/** What a model takes beside the items, and what a caller's values are to its file. */

import { listOf, NO_ITEM, shown } from "./known.js";
import { newRow } from "./signature.js";

/** The input of the items' ids. */
const HISTORY = "history";

/** What a file takes for a value that is not known: as an id, and as an age. */
const NO_VALUE = 0;
const NO_AGE = -1;

/** What is further from zero is no 32-bit float, and unknown to a file. */
const LARGEST = 1e38;
const LAST_INT32 = 2 ** 31 - 1;

/**
 * @typedef {string | number | null | undefined} Value as an app has it: one of the log's values, a
 *     number, or the seconds from an activity to now. What is null, undefined, NaN or a value that
 *     the model was never told is unknown.
 */

/**
 * @typedef {Record<string, Value | Iterable<Value>>} Features by name: of activities one value for
 *     each item of the history, in the same order; of the user and of the moment one value.
 */

/**
 * @typedef {object} TakenFeature what a model takes beside the items.
 * @property {string} name by which it is given.
 * @property {"activity" | "user" | "moment"} of what has it.
 * @property {"id" | "number" | "age"} kind one of `values`, a number, or the age of an activity.
 * @property {(string | number)[]} values of kind `id`, all that the model knows, as the log has them;
 *     of a number the edges between those that are alike to the model.
 */

/** @typedef {Record<string, number | number[]>} Numbers what a file takes, by name. */

export class KnownFeatures {
  #taken;
  /** @type {Map<string, Map<unknown, number>>} the ids of each feature's values. */
  #ids;

  /** @param {TakenFeature[]} taken */
  constructor(taken) {
    this.#taken = taken;
    this.#ids = new Map(
      taken.map(({ name, values }) => [name, new Map(values.map((value, at) => [value, at + 1]))]),
    );
  }

  /**
   * Give what the file takes for the features of a history; those that are missing are unknown.
   *
   * @param {Features} given
   * @param {number} count of its items.
   * @param {string} what the items in an error, in the plural.
   * @returns {Numbers}
   * @throws {TypeError} what should be a list, one value or a number is none.
   * @throws {RangeError} the model takes no such feature, or not so many values of it.
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
      if (of !== "activity") return [name, this.#numberOf(feature, oneOf(feature, given[name]))];
      const values = given[name] === undefined ? Array(count).fill(null) : given[name];
      const all = oneForEach(name, values, count, what);
      return [name, all.map((value) => this.#numberOf(feature, value))];
    });
    return Object.fromEntries(numbers);
  }

  /**
   * Write the last known activities of a history at the right end of each input, and what is known of
   * the user.
   *
   * @param {import("./signature.js").Port[]} ports
   * @param {number[]} ids of all items of the history.
   * @param {Numbers} numbers of its features.
   */
  fill(ports, ids, numbers) {
    const known = [...ids.keys()].filter((place) => ids[place] !== NO_ITEM);
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
        const last = known.slice(-port.length).map((place) => values[place]);
        row.set(last, port.length - last.length);
      }
      inputs[port.name] = row;
    }
    return inputs;
  }

  /** @param {string} name of an input. */
  #unknownOf(name) {
    return unknownOf(this.#taken.find((feature) => feature.name === name)?.kind);
  }

  /**
   * @param {TakenFeature} feature
   * @param {unknown} value
   */
  #numberOf({ name, kind }, value) {
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
    // Cut to whole seconds; what is less than a second ahead of now is no age either.
    return kind === "number" ? value : Math.min(Math.max(Math.floor(value), NO_AGE), LAST_INT32);
  }
}

/** @param {TakenFeature["kind"] | undefined} kind undefined: the items themselves. */
function unknownOf(kind) {
  if (kind === "number") return Number.NaN;
  return kind === "age" ? NO_AGE : NO_VALUE;
}

/**
 * @param {TakenFeature} feature
 * @param {Value | Iterable<Value>} value
 */
function oneOf({ name, of }, value) {
  if (typeof value === "object" && value !== null) {
    throw new TypeError(`"${name}" is of the ${of}, and is ${shown(value)}; give one value`);
  }
  return value;
}

/**
 * @param {string} name
 * @param {Value | Iterable<Value>} given
 * @param {number} count of the items.
 * @param {string} what
 */
function oneForEach(name, given, count, what) {
  const values = listOf(/** @type {Iterable<Value>} */ (given), `values of "${name}"`);
  if (values.length !== count) {
    throw new RangeError(
      `${values.length} values of "${name}" for ${count} ${what}; give one for each`,
    );
  }
  return values;
}
