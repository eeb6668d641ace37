/** Search by words and genre, in time slices between which the page handles input events. */

import { titleOf } from "jaxrec";

/** @import { Catalogue, Entry } from "jaxrec" */

/** Value of the genre filter that all items pass. */
export const ALL_GENRES = "";

/** Duration of a slice: half a frame. */
const SLICE_MS = 8;

/** Number of items between readings of the clock. */
const ITEMS_PER_CHECK = 128;

/** Search over the entries of a catalogue. */
export class Search {
  #catalogue;
  /** @type {string[]} searchable text of each item, computed on first use. */
  #texts = [];

  /** @param {Catalogue} catalogue */
  constructor(catalogue) {
    this.#catalogue = catalogue;
  }

  /**
   * Find the items that contain every word and have the genre, in the order of the model.
   *
   * @param {string} text
   * @param {string} genre ALL_GENRES for any genre.
   * @returns {Generator<number[], number[]>} indices in the catalogue that were found
   *     so far, after each slice.
   */
  *find(text, genre) {
    const words = normalize(text).split(/\s+/).filter(Boolean);
    const { length } = this.#catalogue;
    if (words.length === 0 && genre === ALL_GENRES) {
      return Array.from({ length }, (_, index) => index);
    }
    const found = [];
    let end = performance.now() + SLICE_MS;
    for (let index = 0; index < length; index += 1) {
      if (index % ITEMS_PER_CHECK === 0 && performance.now() > end) {
        yield found;
        end = performance.now() + SLICE_MS;
      }
      if (this.#matches(index, words, genre)) found.push(index);
    }
    return found;
  }

  /**
   * @param {number} index
   * @param {string[]} words
   * @param {string} genre
   */
  #matches(index, words, genre) {
    if (genre !== ALL_GENRES && !this.#catalogue.at(index).genres?.includes(genre)) return false;
    if (words.length === 0) return true;
    this.#texts[index] ??= searchText(this.#catalogue.at(index));
    return words.every((word) => this.#texts[index].includes(word));
  }
}

/** @param {Entry} entry */
function searchText(entry) {
  return normalize([titleOf(entry), entry.year ?? "", ...(entry.genres ?? [])].join(" "));
}

/**
 * Convert text to lower case without accents.
 *
 * @param {string} text
 */
function normalize(text) {
  const letters = text.normalize("NFD").replace(/\p{Mn}/gu, "");
  return letters.toLowerCase();
}
