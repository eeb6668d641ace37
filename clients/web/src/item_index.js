/** Raw items of a model, their ids, and the errors for unknown items. */

/** @typedef {number | string} RawItem item as in the log. */

/** Id of padding and of unknown items. */
export const NO_ITEM = 0;

/** Mapping from raw items to ids: the i-th item has id i, counted from 1. */
export class ItemIndex {
  #items;
  #idOf;

  /** @param {RawItem[]} items */
  constructor(items) {
    this.#items = items;
    this.#idOf = new Map(items.map((item, index) => [item, index + 1]));
  }

  /** All ids, 1 to V. */
  get ids() {
    return Array.from(this.#items, (_, index) => index + 1);
  }

  /**
   * Return the id of an item, NO_ITEM if the model does not know it.
   *
   * @param {RawItem} item
   */
  idOf(item) {
    return this.#idOf.get(item) ?? NO_ITEM;
  }

  /**
   * Return the id of an item.
   *
   * @param {RawItem} item
   * @throws {RangeError} the model does not know it.
   */
  requireId(item) {
    const id = this.idOf(item);
    if (id === NO_ITEM) {
      throw new RangeError(`unknown item ${formatValue(item)}; ${this.#example()}`);
    }
    return id;
  }

  /**
   * Return the id of each item, NO_ITEM for unknown items.
   *
   * @param {Iterable<RawItem>} items
   * @param {string} what plural noun for the items in error messages.
   * @throws {TypeError} `items` is not a list.
   */
  idsOf(items, what) {
    return asList(items, what).map((item) => this.idOf(item));
  }

  /**
   * Return the id of each item, as `idsOf` does, and check that not all are unknown.
   *
   * @param {Iterable<RawItem>} items
   * @param {string} what plural noun for the items in error messages.
   * @throws {TypeError} `items` is not a list.
   * @throws {RangeError} `items` is not empty and all are unknown. The usual cause is that the log
   *     has numbers and the caller passes strings.
   */
  requireAnyKnown(items, what) {
    const list = asList(items, what);
    const ids = this.idsOf(list, what);
    if (areUnknown(ids)) throw this.allUnknown(what, list[0]);
    return ids;
  }

  /**
   * Return the error for items that are all unknown.
   *
   * @param {string} what plural noun for the items.
   * @param {RawItem} item one of them.
   */
  allUnknown(what, item) {
    return new RangeError(
      `all ${what} are unknown, such as ${formatValue(item)}; ${this.#example()}`,
    );
  }

  #example() {
    const size = this.#items.length.toLocaleString("en");
    return `the model has ${size} items, such as ${formatValue(this.#items[0])}`;
  }
}

/**
 * Check whether there are items, and all are unknown.
 *
 * @param {number[]} ids
 */
export function areUnknown(ids) {
  return ids.length > 0 && ids.every((id) => id === NO_ITEM);
}

/**
 * Convert an iterable to an array. A string is a single value, not a list of characters.
 *
 * @template Entry
 * @param {Iterable<Entry>} values
 * @param {string} what plural noun for the values in error messages.
 * @returns {Entry[]}
 * @throws {TypeError} `values` is a single value.
 */
export function asList(values, what) {
  if (typeof values === "string" || typeof values?.[Symbol.iterator] !== "function") {
    throw new TypeError(
      `the ${what} are ${formatValue(values)}, not a list; give [${formatLiteral(values)}]`,
    );
  }
  return [...values];
}

/**
 * Format a value with its type, cut to 60 characters.
 *
 * @param {unknown} value
 */
export function formatValue(value) {
  return `${formatLiteral(value)} (${value === null ? "null" : typeof value})`;
}

/**
 * Format a value as in source code, cut to 60 characters.
 *
 * @param {unknown} value
 */
function formatLiteral(value) {
  return (typeof value === "string" ? JSON.stringify(value) : String(value)).slice(0, 60);
}
