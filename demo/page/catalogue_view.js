/** The catalogue: search, genres, and a card for each item, the most popular first. */

import { byId, choice, element, keep } from "./dom.js";

/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./bundle.js").Entry} Entry */
/** @typedef {Entry & {words: string}} Indexed with the words by which it is found. */

const CARDS = 48;
const EVERY_GENRE = "";

/**
 * Say how an item is called.
 *
 * @param {{item: Item, title?: string | null}} entry
 */
export function titleOf({ title, item }) {
  return title ?? `Item ${item}`;
}

/**
 * Give the angle of each genre on the wheel of colours: neighbours in the alphabet lie far apart.
 *
 * @param {Entry[]} catalogue
 * @returns {Map<string, number>}
 */
export function hues(catalogue) {
  const genres = [...new Set(catalogue.flatMap(({ genres }) => genres ?? []))].sort();
  return new Map(genres.map((genre, index) => [genre, (index * 137.5) % 360]));
}

/**
 * Find the items that have every word of a search and a genre.
 *
 * @param {Indexed[]} indexed
 * @param {string} search
 * @param {string} genre "" for any.
 */
export function find(indexed, search, genre) {
  const words = plain(search).split(/\s+/).filter(Boolean);
  return indexed.filter(
    (entry) =>
      (genre === EVERY_GENRE || entry.genres?.includes(genre)) &&
      words.every((word) => entry.words.includes(word)),
  );
}

/**
 * Add to each entry of a catalogue the words by which it is found.
 *
 * @param {Entry[]} catalogue
 * @returns {Indexed[]}
 */
export function index(catalogue) {
  return catalogue.map((entry) => ({
    ...entry,
    words: plain([titleOf(entry), entry.year ?? "", ...(entry.genres ?? [])].join(" ")),
  }));
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

export class CatalogueView {
  #search = byId("search", HTMLInputElement);
  #genres = byId("genres");
  #found = byId("found");
  #cards = byId("cards");
  #more = byId("more");
  #toggle;
  /** @type {Indexed[]} */
  #indexed = [];
  /** @type {Map<string, number>} */
  #hues = new Map();
  #shown = CARDS;
  /** @type {Map<Item, number>} */
  #places = new Map();

  /** @param {(item: Item) => void} toggle called when a card is tapped. */
  constructor(toggle) {
    this.#toggle = toggle;
    this.#search.addEventListener("input", () => this.#restart());
    this.#genres.addEventListener("change", () => this.#restart());
    this.#more.addEventListener("click", () => {
      const first = this.#shown;
      this.#shown += CARDS;
      this.#render();
      this.#cards.children[first]?.querySelector("button")?.focus();
    });
  }

  /**
   * Show a catalogue.
   *
   * @param {Entry[]} catalogue
   */
  open(catalogue) {
    this.#indexed = index(catalogue);
    this.#hues = hues(catalogue);
    if (catalogue.every(({ title }) => title === null)) {
      this.#search.placeholder = "Search by id";
      byId("search-label").textContent = "Search by id";
    }
    const offer = (/** @type {string} */ value, text = value) =>
      choice({ name: "genre", value, text, checked: value === EVERY_GENRE });
    this.#genres.hidden = this.#hues.size === 0;
    this.#genres.append(
      offer(EVERY_GENRE, "All"),
      ...Array.from(this.#hues.keys(), (genre) => offer(genre)),
    );
    this.#render();
  }

  /**
   * Mark the items of a history.
   *
   * @param {Item[]} items the oldest first.
   */
  mark(items) {
    this.#places = new Map(items.map((item, place) => [item, place + 1]));
    this.#render();
  }

  #restart() {
    this.#shown = CARDS;
    this.#render();
  }

  #render() {
    /** @type {HTMLInputElement | null} */
    const chosen = this.#genres.querySelector("input:checked");
    const genre = chosen?.value ?? EVERY_GENRE;
    const found = find(this.#indexed, this.#search.value, genre);
    const order = found.length ? ", the most popular first" : "; try fewer letters, or all genres";
    this.#found.textContent = `${found.length.toLocaleString("en")} found${order}`;
    keep(
      this.#cards,
      found.slice(0, this.#shown),
      ({ id }) => id,
      (entry) => this.#card(entry),
      (card, { item }) => mark(card, this.#places.get(item)),
    );
    this.#more.hidden = found.length <= this.#shown;
  }

  /** @param {Entry} entry */
  #card({ id, item, title, genres, year }) {
    const button = element(
      "button",
      { type: "button", className: "card" },
      element("span", { className: "title", textContent: titleOf({ title, item }) }),
      element("span", { className: "year", textContent: year ?? "" }),
      element("span", { className: "genres", textContent: genres?.join(" · ") ?? "" }),
    );
    // The page's policy forbids style in markup; properties set from code are no markup.
    const hue = this.#hues.get(genres?.[0] ?? "") ?? (id * 137.5) % 360;
    button.style.setProperty("--hue", String(hue));
    button.style.setProperty("--x", `${(id * 61) % 100}%`);
    button.style.setProperty("--y", `${(id * 37) % 70}%`);
    button.addEventListener("click", () => this.#toggle(item));
    return element("li", {}, button);
  }
}

/**
 * @param {HTMLLIElement} card
 * @param {number | undefined} place of its item in the history.
 */
function mark(card, place) {
  const button = /** @type {HTMLButtonElement} */ (card.firstElementChild);
  button.setAttribute("aria-pressed", String(place !== undefined));
  if (place === undefined) delete button.dataset.place;
  else button.dataset.place = String(place);
}
