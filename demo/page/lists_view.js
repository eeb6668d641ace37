/** The recommendations of one model or several, side by side, and what moved in them. */

import { titleOf } from "./catalogue.js";
import { byId, element, keep } from "./dom.js";

/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommender.js").Recommendation} Recommendation */

/**
 * @typedef {object} Answer of a model: an error, or all the rest.
 * @property {Named} model
 * @property {Item[] | null} before the items of its list before the last change.
 * @property {Error} [error]
 * @property {Recommendation[]} [recommendations] all that it gave.
 * @property {number} [recall]
 */

/** How many items a list shows. */
export const SHOWN = 10;

const MOVE_MS = 350;

/**
 * Say how each item of a list moved.
 *
 * @param {Item[] | null} before the items of the list before, best first; null if there was none.
 * @param {Item[]} after the items now.
 * @returns {{places: (number | null)[], left: Item[]}} for each item of `after` the places it rose
 *     (negative: fell, null: new in the list), and the items that are no longer there.
 */
export function moves(before, after) {
  if (before === null) return { places: after.map(() => 0), left: [] };
  const places = after.map((item, place) => {
    const old = before.indexOf(item);
    return old < 0 ? null : old - place;
  });
  return { places, left: before.filter((item) => !after.includes(item)) };
}

/**
 * Give each score's share of the way from the last to the first of all that the model gave.
 *
 * @param {number[]} scores best first.
 * @returns {number[]} 0 to 1.
 */
export function shares(scores) {
  const best = scores[0];
  const range = best - scores[scores.length - 1];
  return scores.map((score) => (range > 0 ? 1 - (best - score) / range : 1));
}

export class ListsView {
  #root = byId("lists");
  #toggle;
  /** @type {WeakMap<Element, Map<Item, string>>} of the items of each list. */
  #titles = new WeakMap();

  /** @param {(item: Item) => void} toggle called when a recommendation is tapped. */
  constructor(toggle) {
    this.#toggle = toggle;
    for (const type of ["pointerover", "focusin"]) {
      this.#root.addEventListener(type, ({ target }) => {
        if (target instanceof Element) this.#point(target.closest("li"));
      });
    }
    this.#root.addEventListener("pointerleave", () => this.#point(null));
  }

  /**
   * Show the lists side by side.
   *
   * @param {Answer[]} columns
   */
  render(columns) {
    const focused = this.#focus();
    keep(
      this.#root,
      columns,
      ({ model }) => model.path,
      ({ model }) => column(model),
      (article, each) => this.#update(article, each),
    );
    this.#restore(focused);
  }

  /**
   * Show how long a recommendation takes.
   *
   * @param {Named} model
   * @param {number} microseconds
   */
  showTime(model, microseconds) {
    const time = this.#root.querySelector(`[data-key="${CSS.escape(model.path)}"] .time`);
    if (time) time.textContent = `${Math.round(microseconds)} µs`;
  }

  /**
   * @param {HTMLElement} article
   * @param {Answer} answer
   */
  #update(article, { error, recommendations = [], recall, before }) {
    const [, facts, problem, list, left] = childrenOf(article);
    problem.hidden = !error;
    facts.hidden = Boolean(error);
    problem.textContent = error?.message ?? "";
    const [, figure] = childrenOf(facts);
    figure.textContent = recall === undefined ? "" : `recall@10 ${recall.toFixed(3)}`;
    const shown = recommendations.slice(0, SHOWN);
    const items = shown.map(({ item }) => item);
    const moved = moves(before, items);
    const share = shares(recommendations.map(({ score }) => score));
    const tops = new Map(childrenOf(list).map((row) => [row, row.offsetTop]));
    keep(
      list,
      shown,
      ({ item }) => item,
      (entry) => this.#row(entry),
      (row, { score }, index) => updateRow(row, index, score, share[index], moved.places[index]),
    );
    for (const row of childrenOf(list)) slide(row, tops.get(row));
    const titles = this.#titles.get(list);
    left.textContent = moved.left.length
      ? `Left the ten: ${moved.left.map((item) => titles?.get(item)).join(", ")}`
      : "";
    this.#titles.set(list, new Map(shown.map((entry) => [entry.item, titleOf(entry)])));
  }

  /** @param {Recommendation} entry */
  #row(entry) {
    const { item, genres, year } = entry;
    const button = element(
      "button",
      { type: "button", className: "pick" },
      element("span", { className: "rank" }),
      element("span", { className: "title", textContent: titleOf(entry) }),
      element("span", { className: "moved" }),
      element("span", {
        className: "meta",
        textContent: [year, ...(genres ?? [])].filter(Boolean).join(" · "),
      }),
      element("span", { className: "score" }),
      element("span", { className: "bar" }),
    );
    button.title = "Seen it: add it to the history";
    button.addEventListener("click", () => this.#toggle(item));
    return element("li", {}, button);
  }

  /**
   * Mark an item in every list.
   *
   * @param {HTMLElement | null} row
   */
  #point(row) {
    for (const other of this.#root.querySelectorAll("li")) {
      other.classList.toggle("same", row !== null && other.dataset.key === row.dataset.key);
    }
  }

  /** Remember which row has the focus. */
  #focus() {
    /** @type {HTMLElement | null | undefined} */
    const row = document.activeElement?.closest("#lists li");
    const list = row?.parentElement;
    return row && list ? { row, list, index: childrenOf(list).indexOf(row) } : null;
  }

  /**
   * A row that went leaves the focus to the one in its place.
   *
   * @param {{row: HTMLElement, list: HTMLElement, index: number} | null} focused
   */
  #restore(focused) {
    if (!focused || document.activeElement !== document.body) return;
    const row = focused.row.isConnected ? focused.row : childrenOf(focused.list)[focused.index];
    row?.querySelector("button")?.focus();
  }
}

/** @param {HTMLElement} parent */
function childrenOf(parent) {
  return /** @type {HTMLElement[]} */ ([...parent.children]);
}

/** @param {Named} model */
function column(model) {
  return element(
    "article",
    { className: "list" },
    element("h3", { textContent: model.name }),
    element(
      "p",
      { className: "hint" },
      element("span", { className: "time", title: "the median time of a recommendation here" }),
      element("span"),
    ),
    element("p", { className: "problem", hidden: true }),
    element("ol"),
    element("p", { className: "hint left" }),
  );
}

/**
 * @param {HTMLElement} row
 * @param {number} index its place in the list, from 0.
 * @param {number} score
 * @param {number} share of the score, 0 to 1.
 * @param {number | null} places that it rose, as `moves` has them.
 */
function updateRow(row, index, score, share, places) {
  const [button] = childrenOf(row);
  const [rank, , moved, , number, bar] = childrenOf(button);
  rank.textContent = String(index + 1);
  number.textContent = score.toFixed(2);
  bar.style.setProperty("--share", String(share));
  moved.className = `moved ${places === null ? "new" : places > 0 ? "up" : places < 0 ? "down" : ""}`;
  moved.replaceChildren(...movedWords(places));
}

/**
 * A sign for the eye, words for the ear.
 *
 * @param {number | null} places
 */
function movedWords(places) {
  if (places === 0) return [];
  const [sign, words] =
    places === null
      ? ["new", "new in the list"]
      : places > 0
        ? [`▲ ${places}`, `up ${places}`]
        : [`▼ ${-places}`, `down ${-places}`];
  return [
    element("span", { "aria-hidden": "true", textContent: sign }),
    element("span", { className: "quiet", textContent: ` ${words}` }),
  ];
}

/**
 * Let a row glide from where it was.
 *
 * @param {HTMLElement} row
 * @param {number | undefined} top where that is; a new row fades in.
 */
function slide(row, top) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const from =
    top === undefined ? { opacity: 0 } : { transform: `translateY(${top - row.offsetTop}px)` };
  if (top === row.offsetTop) return;
  row.animate([from, {}], { duration: MOVE_MS, easing: "ease-out" });
}
