/** View of the catalogue: search, genres, and a card for each item, the most popular first. */

import { titleOf } from "./catalogue.js";
import { byId, choice, element, keep } from "./dom.js";
import { EVERY_GENRE, Search } from "./search.js";

/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./catalogue.js").Catalogue} Catalogue */
/** @typedef {import("./catalogue.js").Entry} Entry */

const CARDS = 48;

/**
 * Return the hue of each genre in degrees; the golden angle separates alphabetical neighbours.
 *
 * @param {string[]} genres
 * @returns {Map<string, number>}
 */
function hues(genres) {
  return new Map([...genres].sort().map((genre, index) => [genre, (index * 137.5) % 360]));
}

/** Renders the cards of the items that match the search. */
export class CatalogueView {
  #search = byId("search", HTMLInputElement);
  #genres = byId("genres");
  #found = byId("found");
  #cards = byId("cards");
  #more = byId("more");
  #catalogue;
  #toggle;
  #index;
  #hues;
  /** @type {number[]} indices in the catalogue of the items found. */
  #hits = [];
  #shown = CARDS;
  #version = 0;
  /** @type {Map<Item, number>} position of each item in the history, from 1. */
  #places = new Map();

  /**
   * @param {Catalogue} catalogue
   * @param {(item: Item) => void} toggle called when a card is tapped.
   */
  constructor(catalogue, toggle) {
    this.#catalogue = catalogue;
    this.#toggle = toggle;
    this.#index = new Search(catalogue);
    this.#hues = hues(catalogue.genres);
    this.#search.addEventListener("input", () => this.#restart());
    this.#genres.addEventListener("change", () => this.#restart());
    this.#more.addEventListener("click", () => {
      const first = this.#shown;
      this.#shown += CARDS;
      this.#render();
      this.#cards.children[first]?.querySelector("button")?.focus();
    });
    if (!catalogue.titled) {
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
    this.#restart();
  }

  /**
   * Mark the cards of the items of a history.
   *
   * @param {Item[]} items the oldest first.
   */
  mark(items) {
    this.#places = new Map(items.map((item, place) => [item, place + 1]));
    this.#render();
  }

  /** Start a new search and show partial results while it runs. */
  async #restart() {
    this.#shown = CARDS;
    this.#version += 1;
    const version = this.#version;
    /** @type {HTMLInputElement | null} */
    const chosen = this.#genres.querySelector("input:checked");
    const found = this.#index.find(this.#search.value, chosen?.value ?? EVERY_GENRE);
    let slice = found.next();
    while (!slice.done) {
      this.#show(slice.value, "Searching…");
      await new Promise((resolve) => setTimeout(resolve)); // let the page handle input events
      if (version !== this.#version) return; // a later search has started
      slice = found.next();
    }
    const count = slice.value.length;
    const order = count ? ", the most popular first" : "; try fewer letters, or all genres";
    this.#show(slice.value, `${count.toLocaleString("en")} found${order}`);
  }

  /**
   * @param {number[]} hits
   * @param {string} status status text.
   */
  #show(hits, status) {
    this.#hits = hits;
    this.#found.textContent = status;
    this.#render();
  }

  #render() {
    keep(
      this.#cards,
      this.#hits.slice(0, this.#shown).map((index) => this.#catalogue.at(index)),
      ({ id }) => id,
      (entry) => this.#card(entry),
      (card, { item }) => mark(card, this.#places.get(item)),
    );
    this.#more.hidden = this.#hits.length <= this.#shown;
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
    // The Content-Security-Policy forbids style attributes, but not properties set by script.
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
 * @param {number | undefined} place position of its item in the history, from 1.
 */
function mark(card, place) {
  const button = /** @type {HTMLButtonElement} */ (card.firstElementChild);
  button.setAttribute("aria-pressed", String(place !== undefined));
  if (place === undefined) delete button.dataset.place;
  else button.dataset.place = String(place);
}
