/** The raw items of a model, their ids, and the errors for unknown items. */

/** @typedef {import("./bundle.js").Item} Item */

/** Id of padding and of unknown items. */
export const NO_ITEM = 0;

/** Index from raw items to ids: the i-th item has id i, counted from 1. */
export class KnownItems {
  #items;
  #idOf;

  /** @param {Item[]} items */
  constructor(items) {
    this.#items = items;
    this.#idOf = new Map(items.map((item, index) => [item, index + 1]));
  }

  /** All ids, 1 to V. */
  get ids() {
    return Array.from(this.#items, (_, index) => index + 1);
  }

  /**
   * Return the id of an item, or NO_ITEM if the model does not know it.
   *
   * @param {Item} item
   */
  idOf(item) {
    return this.#idOf.get(item) ?? NO_ITEM;
  }

  /**
   * Return the id of a known item.
   *
   * @param {Item} item
   * @throws {RangeError} the model does not know it.
   */
  knownIdOf(item) {
    const id = this.idOf(item);
    if (id === NO_ITEM) {
      throw new RangeError(`the item ${shown(item)} is not known; ${this.#example()}`);
    }
    return id;
  }

  /**
   * Return the id of each item, NO_ITEM for unknown items.
   *
   * @param {Iterable<Item>} items
   * @param {string} what plural noun for the items in error messages.
   * @throws {TypeError} `items` is not a list.
   */
  idsOf(items, what) {
    return listOf(items, what).map((item) => this.idOf(item));
  }

  /**
   * Return the id of each item, as `idsOf` does; throw if all items are unknown.
   *
   * @param {Iterable<Item>} items
   * @param {string} what
   * @throws {TypeError} `items` is not a list.
   * @throws {RangeError} `items` is not empty and none is known. Usually the log has numbers and
   *     the caller passes strings.
   */
  someIdsOf(items, what) {
    const list = listOf(items, what);
    const ids = this.idsOf(list, what);
    if (ids.length > 0 && ids.every((id) => id === NO_ITEM)) {
      throw new RangeError(
        `none of the ${what} is known, as ${shown(list[0])}; ${this.#example()}`,
      );
    }
    return ids;
  }

  #example() {
    const size = this.#items.length.toLocaleString("en");
    return `the model knows ${size}, as ${shown(this.#items[0])}`;
  }
}

/**
 * Convert an iterable to an array. A string is one item, not a list of its characters.
 *
 * @template Entry
 * @param {Iterable<Entry>} list
 * @param {string} what plural noun for its entries in error messages.
 * @returns {Entry[]}
 * @throws {TypeError} it is not a list.
 */
export function listOf(list, what) {
  if (typeof list === "string" || typeof list?.[Symbol.iterator] !== "function") {
    throw new TypeError(`the ${what} are ${shown(list)}, not a list; give [${literal(list)}]`);
  }
  return [...list];
}

/**
 * Format a value with its type, cut to 60 characters.
 *
 * @param {unknown} value
 */
export function shown(value) {
  return `${literal(value)} (${value === null ? "null" : typeof value})`;
}

/**
 * Format a value as in source code, cut to 60 characters.
 *
 * @param {unknown} value
 */
function literal(value) {
  return (typeof value === "string" ? JSON.stringify(value) : String(value)).slice(0, 60);
}
