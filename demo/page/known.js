/** The raw items of a model and their ids, and what is said to who asks for others. */

/** @typedef {import("./bundle.js").Item} Item */

/** The id of no item: of a place that is not filled, and of what the model does not know. */
export const NO_ITEM = 0;

/** Gives the id of a raw item, i for the i-th. */
export class KnownItems {
  #items;
  #idOf;

  /** @param {Item[]} items */
  constructor(items) {
    this.#items = items;
    this.#idOf = new Map(items.map((item, index) => [item, index + 1]));
  }

  /** Every id, 1 to V. */
  get ids() {
    return Array.from(this.#items, (_, index) => index + 1);
  }

  /**
   * Give the id of an item, NO_ITEM if the model does not know it.
   *
   * @param {Item} item
   */
  idOf(item) {
    return this.#idOf.get(item) ?? NO_ITEM;
  }

  /**
   * Give the id of an item.
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
   * Give the id of each item, NO_ITEM for those that the model does not know.
   *
   * @param {Iterable<Item>} items
   * @param {string} what the items in an error, in the plural.
   * @throws {TypeError} they are no list.
   */
  idsOf(items, what) {
    return listOf(items, what).map((item) => this.idOf(item));
  }

  /**
   * Give the id of each item, as `idsOf` does, of items that cannot all be unknown.
   *
   * @param {Iterable<Item>} items
   * @param {string} what
   * @throws {TypeError} they are no list.
   * @throws {RangeError} there are some and none is known. Most often the log has numbers, and these
   *     are text.
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
 * Give what is a list as an array. A text is one item, and no list of its letters.
 *
 * @template Entry
 * @param {Iterable<Entry>} list
 * @param {string} what its entries in an error, in the plural.
 * @returns {Entry[]}
 * @throws {TypeError} it is none.
 */
export function listOf(list, what) {
  if (typeof list === "string" || typeof list?.[Symbol.iterator] !== "function") {
    throw new TypeError(`the ${what} are ${shown(list)}, not a list; give [${written(list)}]`);
  }
  return [...list];
}

/**
 * Write a value down with its type, if it is short.
 *
 * @param {unknown} value
 */
export function shown(value) {
  return `${written(value)} (${value === null ? "null" : typeof value})`;
}

/**
 * Write a value down as code has it, if it is short.
 *
 * @param {unknown} value
 */
function written(value) {
  return (typeof value === "string" ? JSON.stringify(value) : String(value)).slice(0, 60);
}
