/** Search: the items that have every word and a genre, in slices between which taps are answered. */

import { titleOf } from "./catalogue.js";

/** @typedef {import("./catalogue.js").Catalogue} Catalogue */
/** @typedef {import("./catalogue.js").Entry} Entry */

export const EVERY_GENRE = "";

/** How long a slice takes, half of a frame, and after how many items the clock is asked. */
const SLICE_MS = 8;
const ASK_AFTER = 128;

export class Search {
  #catalogue;
  /** @type {string[]} by which each item is found; made when it is first looked for. */
  #words = [];

  /** @param {Catalogue} catalogue */
  constructor(catalogue) {
    this.#catalogue = catalogue;
  }

  /**
   * Find the items that have every word of a search and a genre, the most popular first.
   *
   * @param {string} text
   * @param {string} genre EVERY_GENRE for any.
   * @returns {Generator<number[], number[]>} their places in the catalogue, so far after each slice.
   */
  *find(text, genre) {
    const words = plain(text).split(/\s+/).filter(Boolean);
    const { length } = this.#catalogue;
    if (words.length === 0 && genre === EVERY_GENRE) {
      return Array.from({ length }, (_, index) => index);
    }
    const found = [];
    let end = performance.now() + SLICE_MS;
    for (let index = 0; index < length; index += 1) {
      if (index % ASK_AFTER === 0 && performance.now() > end) {
        yield found;
        end = performance.now() + SLICE_MS;
      }
      if (this.#has(index, words, genre)) found.push(index);
    }
    return found;
  }

  /**
   * @param {number} index
   * @param {string[]} words
   * @param {string} genre
   */
  #has(index, words, genre) {
    if (genre !== EVERY_GENRE && !this.#catalogue.at(index).genres?.includes(genre)) return false;
    if (words.length === 0) return true;
    this.#words[index] ??= wordsOf(this.#catalogue.at(index));
    return words.every((word) => this.#words[index].includes(word));
  }
}

/** @param {Entry} entry */
function wordsOf(entry) {
  return plain([titleOf(entry), entry.year ?? "", ...(entry.genres ?? [])].join(" "));
}

/**
 * Give letters without case and accents.
 *
 * @param {string} text
 */
function plain(text) {
  const letters = text.normalize("NFD").replace(/\p{Mn}/gu, "");
  return letters.toLowerCase();
}
