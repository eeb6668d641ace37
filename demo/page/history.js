/** What a person has chosen, the oldest first, and said of themselves, and where both are kept. */

import { read, write } from "./storage.js";

/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./told.js").Told} Told */

/**
 * @typedef {object} Chosen
 * @property {Item} item
 * @property {boolean} without it is left out for the moment: "what if I had not seen this".
 * @property {number} [at] when it was tapped, in milliseconds since 1970.
 * @property {Told} [told] what was said of it.
 */

const HISTORY = "jaxrec history ";
const USER = "jaxrec user ";

/**
 * Add an item as the most recent, or take it away.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 * @param {number} [at] when.
 */
export function toggle(entries, item, at) {
  return entries.some((entry) => entry.item === item)
    ? entries.filter((entry) => entry.item !== item)
    : [...entries, { item, without: false, at }];
}

/**
 * Move an item by some places.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 * @param {number} places towards the most recent if positive.
 */
export function move(entries, item, places) {
  const from = entries.findIndex((entry) => entry.item === item);
  const rest = entries.filter((entry) => entry.item !== item);
  const to = Math.min(Math.max(from + places, 0), rest.length);
  return rest.toSpliced(to, 0, entries[from]);
}

/**
 * Leave an item out for the moment, or take it in again.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 */
export function switchWithout(entries, item) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, without: !entry.without } : entry,
  );
}

/**
 * Say something of an item.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 * @param {string} name of the feature.
 * @param {string | number} [value] undefined: it is unknown.
 */
export function tell(entries, item, name, value) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, told: withValue(entry.told, name, value) } : entry,
  );
}

/**
 * Add a value to what was told, or take it away.
 *
 * @param {Told | undefined} told
 * @param {string} name
 * @param {string | number} [value]
 * @returns {Told}
 */
export function withValue(told, name, value) {
  const { [name]: _, ...others } = told ?? {};
  return value === undefined ? others : { ...others, [name]: value };
}

/**
 * Give the entries that count, the oldest first.
 *
 * @param {Chosen[]} entries
 */
export function counted(entries) {
  return entries.filter(({ without }) => !without);
}

/**
 * The place of one data set's history in this browser, and of what was said of the person.
 *
 * A browser may refuse to keep anything; then they last as long as the page.
 */
export class Shelf {
  #history;
  #user;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#history = HISTORY + dataset;
    this.#user = USER + dataset;
  }

  /**
   * Read what was kept; nothing, if there is nothing or it cannot be read.
   *
   * @returns {Chosen[]}
   */
  load() {
    try {
      /** @type {Chosen[]} */
      const entries = read(this.#history) ?? [];
      return entries
        .filter(({ item }) => isValue(item))
        .map(({ item, without, at, told }) => ({
          item,
          without: Boolean(without),
          at: Number.isFinite(at) ? at : undefined,
          told: told ? valuesOf(told) : undefined,
        }));
    } catch {
      return [];
    }
  }

  /**
   * Read what was said of the person, as `load` does.
   *
   * @returns {Told}
   */
  loadUser() {
    return valuesOf(read(this.#user) ?? {});
  }

  /**
   * Keep the entries; tell whether the browser does.
   *
   * @param {Chosen[]} entries
   */
  save(entries) {
    return write(this.#history, entries.length > 0 ? entries : null);
  }

  /**
   * Keep what was said of the person, as `save` does.
   *
   * @param {Told} user
   */
  saveUser(user) {
    return write(this.#user, Object.keys(user).length > 0 ? user : null);
  }
}

/** @param {unknown} value */
function isValue(value) {
  return ["number", "string"].includes(typeof value);
}

/** @param {object} told */
function valuesOf(told) {
  return Object.fromEntries(Object.entries(told).filter(([, value]) => isValue(value)));
}
