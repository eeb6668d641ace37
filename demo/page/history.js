/**
 * What a person has chosen: entries `{item, without}`, the oldest first, and where they are kept.
 *
 * An entry with `without` is left out for the moment: "what if I had not seen this".
 */

/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {{item: Item, without: boolean}} Chosen */

const PREFIX = "jaxrec history ";

/**
 * Add an item as the most recent, or take it away.
 *
 * @param {Chosen[]} entries
 * @param {Item} item
 */
export function toggle(entries, item) {
  return entries.some((entry) => entry.item === item)
    ? entries.filter((entry) => entry.item !== item)
    : [...entries, { item, without: false }];
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
 * Give the items that count, the oldest first.
 *
 * @param {Chosen[]} entries
 */
export function counted(entries) {
  return entries.filter(({ without }) => !without).map(({ item }) => item);
}

/**
 * The place of one data set's history in this browser.
 *
 * A browser may refuse to keep anything; then a history lasts as long as the page.
 */
export class Shelf {
  #key;

  /** @param {string} dataset */
  constructor(dataset) {
    this.#key = PREFIX + dataset;
  }

  /**
   * Read what was kept; nothing, if there is nothing or it cannot be read.
   *
   * @returns {Chosen[]}
   */
  load() {
    try {
      /** @type {Chosen[]} */
      const entries = JSON.parse(localStorage.getItem(this.#key) ?? "[]");
      const valid = entries.filter(({ item }) => ["number", "string"].includes(typeof item));
      return valid.map(({ item, without }) => ({ item, without: Boolean(without) }));
    } catch {
      return [];
    }
  }

  /**
   * Keep the entries; tell whether the browser does.
   *
   * @param {Chosen[]} entries
   */
  save(entries) {
    try {
      localStorage.setItem(this.#key, JSON.stringify(entries));
      return true;
    } catch {
      return false;
    }
  }

  /** Leave nothing behind. */
  delete() {
    try {
      localStorage.removeItem(this.#key);
    } catch {
      // What could not be kept need not be deleted.
    }
  }

  /**
   * Call back when another tab has changed the history.
   *
   * @param {() => void} changed
   */
  watch(changed) {
    addEventListener("storage", ({ key }) => {
      if (key === this.#key || key === null) changed();
    });
  }
}
