/** The catalogue: search, genres, and a card for each item, the most popular first. */

import { choice, element, keep } from "./dom.js";

const CARDS = 48;
const EVERY_GENRE = "";

/** How an item is called where nothing better is known. */
export function titleOf({ title, item }) {
  return title ?? `Item ${item}`;
}

/** The angle of a genre on the wheel of colours: neighbours in the alphabet lie far apart. */
export function hues(catalogue) {
  const genres = [...new Set(catalogue.flatMap(({ genres }) => genres ?? []))].sort();
  return new Map(genres.map((genre, index) => [genre, (index * 137.5) % 360]));
}

/**
 * Find the items that have every word of a search and a genre.
 *
 * @param {{words: string, genres: ?string[]}[]} indexed entries that `index` made.
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

/** Add to each entry of a catalogue the words by which it is found. */
export function index(catalogue) {
  return catalogue.map((entry) => ({
    ...entry,
    words: plain([titleOf(entry), entry.year ?? "", ...(entry.genres ?? [])].join(" ")),
  }));
}

/** Letters without case and accents. */
function plain(text) {
  return text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase();
}

export class CatalogueView {
  #search = document.getElementById("search");
  #genres = document.getElementById("genres");
  #found = document.getElementById("found");
  #cards = document.getElementById("cards");
  #more = document.getElementById("more");
  #toggle;
  #indexed = [];
  #hues = new Map();
  #shown = CARDS;
  #places = new Map();

  /** @param {(item: number|string) => void} toggle called when a card is tapped. */
  constructor(toggle) {
    this.#toggle = toggle;
    this.#search.addEventListener("input", () => this.#restart());
    this.#genres.addEventListener("change", () => this.#restart());
    this.#more.addEventListener("click", () => {
      const first = this.#shown;
      this.#shown += CARDS;
      this.#render();
      this.#cards.children[first]?.querySelector("button").focus();
    });
  }

  /** Show a catalogue. */
  open(catalogue) {
    this.#indexed = index(catalogue);
    this.#hues = hues(catalogue);
    const offer = (value, text) =>
      choice({ name: "genre", value, text, checked: value === EVERY_GENRE });
    this.#genres.hidden = this.#hues.size === 0;
    this.#genres.append(
      offer(EVERY_GENRE, "All"),
      ...Array.from(this.#hues.keys(), (genre) => offer(genre, genre)),
    );
    this.#render();
  }

  /** Mark the items of a history, the oldest first. */
  mark(items) {
    this.#places = new Map(items.map((item, place) => [item, place + 1]));
    this.#render();
  }

  #restart() {
    this.#shown = CARDS;
    this.#render();
  }

  #render() {
    const genre = this.#genres.querySelector("input:checked")?.value ?? EVERY_GENRE;
    const found = find(this.#indexed, this.#search.value, genre);
    const order = found.length ? ", the most popular first" : "; try fewer letters, or all genres";
    this.#found.textContent = `${found.length.toLocaleString("en")} found${order}`;
    keep(
      this.#cards,
      found.slice(0, this.#shown),
      ({ id }) => id,
      (entry) => this.#card(entry),
      (card, { item }) => this.#update(card, this.#places.get(item)),
    );
    this.#more.hidden = found.length <= this.#shown;
  }

  #card({ id, item, title, genres, year }) {
    const button = element(
      "button",
      { type: "button", className: "card" },
      element("span", { className: "title", textContent: titleOf({ title, item }) }),
      element("span", { className: "year", textContent: year ?? "" }),
      element("span", { className: "genres", textContent: genres?.join(" · ") ?? "" }),
    );
    // The page's policy forbids style in markup; properties set from code are no markup.
    button.style.setProperty("--hue", this.#hues.get(genres?.[0]) ?? (id * 137.5) % 360);
    button.style.setProperty("--x", `${(id * 61) % 100}%`);
    button.style.setProperty("--y", `${(id * 37) % 70}%`);
    button.addEventListener("click", () => this.#toggle(item));
    return element("li", {}, button);
  }

  #update(card, place) {
    const button = card.firstElementChild;
    button.setAttribute("aria-pressed", String(place !== undefined));
    if (place === undefined) delete button.dataset.place;
    else button.dataset.place = place;
  }
}
