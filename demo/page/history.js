/** The user's history, the oldest item first, the user's own feature values, and their storage. */

import { read, write } from "./storage.js";

/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./told.js").Told} Told */

/**
 * @typedef {object} Chosen an entry of the history.
 * @property {Item} item
 * @property {boolean} without whether it is left out temporarily: "what if I had not seen this".
 * @property {number} [at] time of the tap, in milliseconds since 1970.
 * @property {Told} [told] feature values that the user entered for it.
 */

const HISTORY = "jaxrec history ";
const USER = "jaxrec user ";

/**
 * Add an item as the most recent, or remove it if present.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 * @param {number} [at] time of the tap.
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
 * @param {number} places positive towards the most recent item.
 */
export function move(entries, item, places) {
  const from = entries.findIndex((entry) => entry.item === item);
  const rest = entries.filter((entry) => entry.item !== item);
  const to = Math.min(Math.max(from + places, 0), rest.length);
  return rest.toSpliced(to, 0, entries[from]);
}

/**
 * Toggle whether an item is left out temporarily.
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
 * Set a feature value of an item.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 * @param {string} name name of the feature.
 * @param {string | number} [value] undefined if unknown.
 */
export function tell(entries, item, name, value) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, told: withValue(entry.told, name, value) } : entry,
  );
}

/**
 * Return feature values with one set, or removed if undefined.
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
 * Return the entries that are not left out, the oldest first.
 *
 * @param {Chosen[]} entries
 */
export function counted(entries) {
  return entries.filter(({ without }) => !without);
}

/**
 * Local storage of the history and of the user's own feature values, for one data set.
 *
 * If the browser refuses to store them, they last as long as the page.
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
   * Load the history; empty if none is stored or it cannot be read.
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
   * Load the user's own feature values, as `load` does the history.
   *
   * @returns {Told}
   */
  loadUser() {
    return valuesOf(read(this.#user) ?? {});
  }

  /**
   * Store the history; return whether the browser stored it.
   *
   * @param {Chosen[]} entries
   */
  save(entries) {
    return write(this.#history, entries.length > 0 ? entries : null);
  }

  /**
   * Store the user's own feature values, as `save` does the history.
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
