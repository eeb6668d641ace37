/**
 * What a person has chosen: entries `{item, without}`, the oldest first, and where they are kept.
 *
 * An entry with `without` is left out for the moment: "what if I had not seen this".
 */

const PREFIX = "jaxrec history ";

/** Add an item as the most recent, or take it away. */
export function toggle(entries, item) {
  return entries.some((entry) => entry.item === item)
    ? entries.filter((entry) => entry.item !== item)
    : [...entries, { item, without: false }];
}

/** Move an item by some places, towards the most recent if positive. */
export function move(entries, item, places) {
  const from = entries.findIndex((entry) => entry.item === item);
  const rest = entries.filter((entry) => entry.item !== item);
  const to = Math.min(Math.max(from + places, 0), rest.length);
  return rest.toSpliced(to, 0, entries[from]);
}

/** Leave an item out for the moment, or take it in again. */
export function switchWithout(entries, item) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, without: !entry.without } : entry,
  );
}

/** The items that count, the oldest first. */
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

  constructor(dataset) {
    this.#key = PREFIX + dataset;
  }

  /** Read what was kept; nothing, if there is nothing or it cannot be read. */
  load() {
    try {
      const entries = JSON.parse(localStorage.getItem(this.#key)) ?? [];
      const valid = ({ item }) => typeof item === "number" || typeof item === "string";
      return entries.filter(valid).map(({ item, without }) => ({ item, without: Boolean(without) }));
    } catch {
      return [];
    }
  }

  /** Keep the entries; whether the browser does. */
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

  /** Call back when another tab has changed the history. */
  watch(changed) {
    addEventListener("storage", ({ key }) => {
      if (key === this.#key || key === null) changed();
    });
  }
}
