/** View of the recommendations of one or more models, side by side, with changes of rank. */

import { titleOf } from "./catalogue.js";
import { byId, element, keep } from "./dom.js";

/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommendation.js").Recommendation} Recommendation */

/**
 * @typedef {object} Answer result of a model: an error, or recommendations and recall.
 * @property {Named} model
 * @property {Item[] | null} before items of its list before the last change.
 * @property {Error} [error]
 * @property {Recommendation[]} [recommendations] all recommendations, also those not shown.
 * @property {number} [recall]
 */

/** Number of items that a list shows. */
export const SHOWN = 10;

const MOVE_MS = 350;

/**
 * Compute the change of rank of each item of a list.
 *
 * @param {Item[] | null} before previous items, best first; null if there was no list.
 * @param {Item[]} after current items, best first.
 * @returns {{places: (number | null)[], left: Item[]}} for each item of `after` the number of ranks
 *     gained (negative if lost, null if new), and the items no longer in the list.
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
 * Scale scores linearly from the lowest at 0 to the highest at 1; all 1 if they are equal.
 *
 * @param {number[]} scores best first.
 * @returns {number[]} 0 to 1.
 */
export function shares(scores) {
  const best = scores[0];
  const range = best - scores[scores.length - 1];
  return scores.map((score) => (range > 0 ? 1 - (best - score) / range : 1));
}

/** Renders one list of recommendations per model. */
export class ListsView {
  #root = byId("lists");
  #toggle;
  /** @type {WeakMap<Element, Map<Item, string>>} titles of the items of each list. */
  #titles = new WeakMap();

  /** @param {(item: Item) => void} toggle called when a recommendation is tapped. */
  constructor(toggle) {
    this.#toggle = toggle;
    for (const type of ["pointerover", "focusin"]) {
      this.#root.addEventListener(type, ({ target }) => {
        if (target instanceof Element) this.#highlight(target.closest("li"));
      });
    }
    this.#root.addEventListener("pointerleave", () => this.#highlight(null));
  }

  /**
   * Show the lists side by side.
   *
   * @param {Answer[]} columns
   */
  render(columns) {
    const focused = this.#getFocus();
    keep(
      this.#root,
      columns,
      ({ model }) => model.path,
      ({ model }) => createColumn(model),
      (article, each) => this.#update(article, each),
    );
    this.#restoreFocus(focused);
  }

  /**
   * Show the time of a recommendation.
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
   * Highlight the item of a row in every list; null removes the highlight.
   *
   * @param {HTMLElement | null} row
   */
  #highlight(row) {
    for (const other of this.#root.querySelectorAll("li")) {
      other.classList.toggle("same", row !== null && other.dataset.key === row.dataset.key);
    }
  }

  /** Return the row that has the focus, with its list and index. */
  #getFocus() {
    /** @type {HTMLElement | null | undefined} */
    const row = document.activeElement?.closest("#lists li");
    const list = row?.parentElement;
    return row && list ? { row, list, index: childrenOf(list).indexOf(row) } : null;
  }

  /**
   * Restore the focus: a removed row passes it to the row now at its index.
   *
   * @param {{row: HTMLElement, list: HTMLElement, index: number} | null} focused
   */
  #restoreFocus(focused) {
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
function createColumn(model) {
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
 * @param {number} index index in the list, from 0.
 * @param {number} score
 * @param {number} share scaled score, 0 to 1.
 * @param {number | null} places number of ranks gained, as in `moves`.
 */
function updateRow(row, index, score, share, places) {
  const [button] = childrenOf(row);
  const [rank, , moved, , number, bar] = childrenOf(button);
  rank.textContent = String(index + 1);
  number.textContent = score.toFixed(2);
  bar.style.setProperty("--share", String(share));
  moved.className = `moved ${places === null ? "new" : places > 0 ? "up" : places < 0 ? "down" : ""}`;
  moved.replaceChildren(...rankChangeLabel(places));
}

/**
 * Build the label of a change of rank: a sign to see, and words for screen readers.
 *
 * @param {number | null} places
 */
function rankChangeLabel(places) {
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
 * Animate a row from its previous position.
 *
 * @param {HTMLElement} row
 * @param {number | undefined} top previous offset; undefined for a new row, which fades in.
 */
function slide(row, top) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const from =
    top === undefined ? { opacity: 0 } : { transform: `translateY(${top - row.offsetTop}px)` };
  if (top === row.offsetTop) return;
  row.animate([from, {}], { duration: MOVE_MS, easing: "ease-out" });
}
