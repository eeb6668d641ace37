/** View of the catalogue: search, genres, and a card for each item, in the order of the model. */

import { titleOf } from "jaxrec";
import { byId, element, radioChip, updateChildren } from "./dom.js";
import { ALL_GENRES, Search } from "./search.js";

/** @import { Catalogue, Entry, RawItem } from "jaxrec" */

/** Number of cards that are shown first, and added by the button "Show more". */
const PAGE_SIZE = 48;

/** Separates neighbouring hues as far as possible. */
const GOLDEN_ANGLE = 137.5;

/**
 * Assign a hue in degrees to each genre.
 *
 * @param {string[]} genres
 * @returns {Map<string, number>}
 */
function genreHues(genres) {
  return new Map([...genres].sort().map((genre, index) => [genre, (index * GOLDEN_ANGLE) % 360]));
}

/** View of the cards of the items that match the search. */
export class CatalogueView {
  #searchInput = byId("search", HTMLInputElement);
  #genres = byId("genres");
  #status = byId("search-status");
  #cards = byId("cards");
  #showMore = byId("show-more");
  #catalogue;
  #onTap;
  #search;
  #hues;
  /** @type {number[]} indices in the catalogue of the items found. */
  #found = [];
  #visibleCount = PAGE_SIZE;
  /** Number of the latest search; earlier ones stop. */
  #version = 0;
  /** @type {Map<RawItem, number>} position of each item in the history, from 1. */
  #positions = new Map();

  /**
   * @param {Catalogue} catalogue
   * @param {(item: RawItem) => void} onTap called when a card is tapped.
   */
  constructor(catalogue, onTap) {
    this.#catalogue = catalogue;
    this.#onTap = onTap;
    this.#search = new Search(catalogue);
    this.#hues = genreHues(catalogue.genres);
    this.#searchInput.addEventListener("input", () => this.#restartSearch());
    this.#genres.addEventListener("change", () => this.#restartSearch());
    this.#showMore.addEventListener("click", () => {
      const firstNew = this.#visibleCount;
      this.#visibleCount += PAGE_SIZE;
      this.#render();
      this.#cards.children[firstNew]?.querySelector("button")?.focus();
    });
    if (!catalogue.titled) {
      this.#searchInput.placeholder = "Search by id";
      byId("search-label").textContent = "Search by id";
    }
    this.#renderGenres();
    this.#restartSearch();
  }

  /**
   * Mark the cards of the items of a history.
   *
   * @param {RawItem[]} items the oldest first.
   */
  markHistory(items) {
    this.#positions = new Map(items.map((item, index) => [item, index + 1]));
    this.#render();
  }

  #renderGenres() {
    const createChip = (/** @type {string} */ value, text = value) =>
      radioChip({ name: "genre", value, text, checked: value === ALL_GENRES });
    this.#genres.hidden = this.#hues.size === 0;
    this.#genres.append(
      createChip(ALL_GENRES, "All"),
      ...Array.from(this.#hues.keys(), (genre) => createChip(genre)),
    );
  }

  /** Start a new search and show partial results while it runs. */
  async #restartSearch() {
    this.#visibleCount = PAGE_SIZE;
    this.#version += 1;
    const version = this.#version;
    /** @type {HTMLInputElement | null} */
    const genre = this.#genres.querySelector("input:checked");
    const slices = this.#search.find(this.#searchInput.value, genre?.value ?? ALL_GENRES);
    let slice = slices.next();
    while (!slice.done) {
      this.#showResults(slice.value, "Searching …");
      await new Promise((resolve) => setTimeout(resolve)); // let the page handle input events
      if (version !== this.#version) return; // a later search has started
      slice = slices.next();
    }
    const count = slice.value.length;
    const suffix = count ? "" : ". Try a shorter search, or all genres.";
    this.#showResults(slice.value, `${count.toLocaleString("en")} found${suffix}`);
  }

  /**
   * @param {number[]} found
   * @param {string} status
   */
  #showResults(found, status) {
    this.#found = found;
    this.#status.textContent = status;
    this.#render();
  }

  #render() {
    updateChildren(
      this.#cards,
      this.#found.slice(0, this.#visibleCount).map((index) => this.#catalogue.at(index)),
      ({ id }) => id,
      (entry) => this.#createCard(entry),
      (card, { item }) => markCard(card, this.#positions.get(item)),
    );
    this.#showMore.hidden = this.#found.length <= this.#visibleCount;
  }

  /** @param {Entry} entry */
  #createCard({ id, item, title, genres, year }) {
    const button = element(
      "button",
      { type: "button", className: "card" },
      element("span", { className: "title", textContent: titleOf({ title, item }) }),
      element("span", { className: "year", textContent: year ?? "" }),
      element("span", { className: "genres", textContent: genres?.join(" · ") ?? "" }),
    );
    // The Content-Security-Policy forbids style attributes, but not properties set by script.
    const hue = this.#hues.get(genres?.[0] ?? "") ?? (id * GOLDEN_ANGLE) % 360;
    button.style.setProperty("--hue", String(hue));
    button.style.setProperty("--x", `${(id * 61) % 100}%`);
    button.style.setProperty("--y", `${(id * 37) % 70}%`);
    button.addEventListener("click", () => this.#onTap(item));
    return element("li", {}, button);
  }
}

/**
 * @param {HTMLLIElement} card
 * @param {number | undefined} position position of its item in the history, from 1.
 */
function markCard(card, position) {
  const button = /** @type {HTMLButtonElement} */ (card.firstElementChild);
  button.setAttribute("aria-pressed", String(position !== undefined));
  if (position === undefined) delete button.dataset.position;
  else button.dataset.position = String(position);
}
