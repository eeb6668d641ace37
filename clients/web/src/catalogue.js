/**
 * The catalogue of a file: the title, genres and year of each item, parsed one block at a time.
 *
 * The first line has the number of items, the number of items per block, whether any item has a
 * title, and the genres. Each further line is a block of columns, in the order of the ids. Genres
 * are stored as indices into those of the first line; a column without any value is omitted.
 */

/** @import { RawItem } from "./item_index.js" */

/**
 * @typedef {object} Entry an item of the catalogue; unknown fields are null.
 * @property {number} id
 * @property {RawItem} item
 * @property {string | null} title
 * @property {string[] | null} genres
 * @property {number | null} year
 */

/** @typedef {{items: number, block: number, titled: boolean, genres: string[]}} Head */

/**
 * @typedef {object} Block
 * @property {(string | null)[]} [title]
 * @property {(number[] | null)[]} [genres]
 * @property {(number | null)[]} [year]
 */

/** The entries of all items, that of id i at index i - 1, [V]. */
export class Catalogue {
  #items;
  #lines;
  /** @type {Head} */
  #head;
  /** @type {Block[]} blocks parsed so far. */
  #parsedBlocks = [];

  /**
   * @param {RawItem[]} items raw item of each id, id i at index i - 1, [V].
   * @param {string} text content of catalogue.jsonl.
   */
  constructor(items, text) {
    const [head, ...lines] = text.trimEnd().split("\n");
    this.#items = items;
    this.#head = JSON.parse(head);
    this.#lines = lines;
  }

  /** Return whether the text has V items and all of their blocks. */
  get isComplete() {
    const { items, block } = this.#head;
    return items === this.length && this.#lines.length === Math.ceil(items / block);
  }

  /** Number of items, V. */
  get length() {
    return this.#items.length;
  }

  /** Return whether any item has a title. */
  get titled() {
    return this.#head.titled;
  }

  /** Names of all genres. */
  get genres() {
    return this.#head.genres;
  }

  /**
   * Return the entry at an index; id i is at index i - 1.
   *
   * @param {number} index 0 to V - 1.
   * @returns {Entry}
   */
  at(index) {
    const offset = index % this.#head.block;
    const { title, genres, year } = this.#block((index - offset) / this.#head.block);
    return {
      id: index + 1,
      item: this.#items[index],
      title: title?.[offset] ?? null,
      genres: genres?.[offset]?.map((number) => this.#head.genres[number]) ?? null,
      year: year?.[offset] ?? null,
    };
  }

  /** Yield all entries in the order of the ids. */
  *[Symbol.iterator]() {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }

  /** @param {number} number */
  #block(number) {
    this.#parsedBlocks[number] ??= JSON.parse(this.#lines[number]);
    return this.#parsedBlocks[number];
  }
}

/**
 * Encode a list of entries as the text of a catalogue with one block.
 *
 * @param {Entry[]} entries
 */
export function packCatalogue(entries) {
  const genres = [...new Set(entries.flatMap((entry) => entry.genres ?? []))];
  const numberOf = new Map(genres.map((genre, number) => [genre, number]));
  const titled = entries.some(({ title }) => title !== null);
  const head = { items: entries.length, block: entries.length, titled, genres };
  const columns = {
    title: entries.map(({ title }) => title),
    genres: entries.map((entry) => entry.genres?.map((genre) => numberOf.get(genre)) ?? null),
    year: entries.map(({ year }) => year),
  };
  return `${JSON.stringify(head)}\n${JSON.stringify(columns)}`;
}

/**
 * Return the title of an item, or a label made of its raw id.
 *
 * @param {{item: RawItem, title?: string | null}} entry
 */
export function titleOf({ title, item }) {
  return title ?? `Item ${item}`;
}
