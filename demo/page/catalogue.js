/**
 * The catalogue of a file: what is known of each item, in columns, read a block at a time.
 *
 * Its first line says how many items there are, how many a block holds, whether any has a title, and
 * which genres there are; each further line is a block of columns, in the order of the ids. A genre
 * is its place in the first line, and a column of which nothing is known is left out.
 */

/** @typedef {import("./bundle.js").Item} Item */

/**
 * @typedef {object} Entry an item of the catalogue; what is not known of it is null.
 * @property {number} id
 * @property {Item} item
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

export class Catalogue {
  #items;
  #lines;
  /** @type {Head} */
  #head;
  /** @type {Block[]} those that were read. */
  #blocks = [];

  /**
   * @param {Item[]} items the raw item of each id, id i at i - 1, [V].
   * @param {string} text catalogue.jsonl.
   */
  constructor(items, text) {
    const [head, ...lines] = text.trimEnd().split("\n");
    this.#items = items;
    this.#head = JSON.parse(head);
    this.#lines = lines;
  }

  /** Whether it is of as many items as there are. */
  get isWhole() {
    const { items, block } = this.#head;
    return items === this.length && this.#lines.length === Math.ceil(items / block);
  }

  /** How many items there are, V. */
  get length() {
    return this.#items.length;
  }

  /** Whether any item has a title. */
  get titled() {
    return this.#head.titled;
  }

  /** The genres that there are. */
  get genres() {
    return this.#head.genres;
  }

  /**
   * Give the entry at an index, that of id i at i - 1.
   *
   * @param {number} index 0 to V - 1.
   * @returns {Entry}
   */
  at(index) {
    const place = index % this.#head.block;
    const { title, genres, year } = this.#block((index - place) / this.#head.block);
    return {
      id: index + 1,
      item: this.#items[index],
      title: title?.[place] ?? null,
      genres: genres?.[place]?.map((number) => this.#head.genres[number]) ?? null,
      year: year?.[place] ?? null,
    };
  }

  *[Symbol.iterator]() {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }

  /** @param {number} number */
  #block(number) {
    this.#blocks[number] ??= JSON.parse(this.#lines[number]);
    return this.#blocks[number];
  }
}

/**
 * Write a list of entries as one block.
 *
 * @param {Entry[]} entries
 */
export function inOneBlock(entries) {
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
 * Say how an item is called.
 *
 * @param {{item: Item, title?: string | null}} entry
 */
export function titleOf({ title, item }) {
  return title ?? `Item ${item}`;
}
