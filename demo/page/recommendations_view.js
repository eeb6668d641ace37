/** View of the recommendations of one or more models, side by side, with changes of rank. */

import { titleOf } from "jaxrec";
import { byId, element, updateChildren } from "./dom.js";
import { itemsInSeveralLists, rankChanges } from "./rank_changes.js";

/** @import { RawItem, Recommendation } from "jaxrec" */
/** @import { NamedModel } from "./models.js" */

/**
 * @typedef {object} ListResult result of a model: an error, or recommendations.
 * @property {NamedModel} model
 * @property {RawItem[] | null} previousItems items that its list showed before the last change.
 * @property {Error} [error]
 * @property {Recommendation[]} [recommendations] all recommendations, also those not shown.
 */

/** Number of items that a list shows. */
export const LIST_LENGTH = 10;

const SLIDE_MS = 350;

/** View of one list of recommendations per model. */
export class RecommendationsView {
  #root = byId("lists");
  #hint = byId("recommendations-hint");
  #legend = byId("shared-legend");
  #onTap;
  /** @type {WeakMap<Element, Map<RawItem, string>>} titles of the items of each list. */
  #titles = new WeakMap();

  /** @param {(item: RawItem) => void} onTap called when a recommendation is tapped. */
  constructor(onTap) {
    this.#onTap = onTap;
    const selectors = { pointerover: "li", focusin: "li:has(:focus-visible)" };
    for (const [type, selector] of Object.entries(selectors)) {
      this.#root.addEventListener(type, ({ target }) => {
        if (target instanceof Element) this.#highlight(target.closest(selector));
      });
    }
    for (const type of ["pointerleave", "focusout"]) {
      this.#root.addEventListener(type, () => this.#highlight(null));
    }
  }

  /**
   * Render the lists side by side.
   *
   * @param {ListResult[]} results
   * @param {string} hint
   */
  render(results, hint) {
    const focused = this.#getFocus();
    const shared = itemsInSeveralLists(results.map(shownItems));
    updateChildren(
      this.#root,
      results,
      ({ model }) => model.path,
      ({ model }) => createList(model),
      (article, result) => this.#updateList(article, result, shared),
    );
    this.#restoreFocus(focused);
    this.#hint.textContent = hint;
    this.#legend.hidden = results.length < 2;
    this.#legend.textContent = `Tinted: ${shared.size} items that are in more than one list.`;
  }

  /**
   * @param {HTMLElement} article
   * @param {ListResult} result
   * @param {Set<RawItem>} shared items in more than one list.
   */
  #updateList(article, { error, recommendations = [], previousItems }, shared) {
    const [, problem, empty, list, dropped] = childrenOf(article);
    problem.hidden = !error;
    problem.textContent = error?.message ?? "";
    empty.hidden = error !== undefined || recommendations.length > 0;
    const top = recommendations.slice(0, LIST_LENGTH);
    const changes = rankChanges(
      previousItems,
      top.map(({ item }) => item),
    );
    const offsets = new Map(childrenOf(list).map((row) => [row, row.offsetTop]));
    updateChildren(
      list,
      top,
      ({ item }) => item,
      (entry) => this.#createRow(entry),
      (row, { item }, index) => updateRow(row, index, changes.gains[index], shared.has(item)),
    );
    for (const row of childrenOf(list)) slide(row, offsets.get(row));
    const titles = this.#titles.get(list);
    dropped.textContent = changes.dropped.length
      ? `No longer in the top ${LIST_LENGTH}: ` +
        changes.dropped.map((item) => titles?.get(item)).join(", ")
      : "";
    dropped.title = dropped.textContent;
    this.#titles.set(list, new Map(top.map((entry) => [entry.item, titleOf(entry)])));
  }

  /** @param {Recommendation} recommendation */
  #createRow(recommendation) {
    const { item, genres, year } = recommendation;
    const title = titleOf(recommendation);
    const button = element(
      "button",
      { type: "button", className: "recommendation", title: `Add ${title} to your history` },
      element("span", { className: "rank" }),
      element("span", { className: "title", textContent: title }),
      element("span", { className: "rank-change" }),
      element("span", {
        className: "metadata",
        textContent: [year, ...(genres ?? [])].filter(Boolean).join(" · "),
      }),
      element("span", { className: "visually-hidden shared-note" }),
    );
    button.addEventListener("click", () => this.#onTap(item));
    return element("li", {}, button);
  }

  /**
   * Highlight the item of a row in every list; null removes the highlight.
   *
   * @param {HTMLElement | null} row
   */
  #highlight(row) {
    for (const other of this.#root.querySelectorAll("li")) {
      const isSame = row !== null && other.dataset.key === row.dataset.key;
      other.classList.toggle("highlighted", isSame);
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

/** @param {ListResult} result */
function shownItems({ recommendations = [] }) {
  return recommendations.slice(0, LIST_LENGTH).map(({ item }) => item);
}

/** @param {HTMLElement} parent */
function childrenOf(parent) {
  return /** @type {HTMLElement[]} */ ([...parent.children]);
}

/** @param {NamedModel} model */
function createList(model) {
  return element(
    "article",
    { className: "list" },
    element("h3", { textContent: model.name }),
    element("p", { className: "problem", hidden: true }),
    element("p", { textContent: "No items left: your history has all of them.", hidden: true }),
    element("ol"),
    element("p", { className: "hint dropped-items" }),
  );
}

/**
 * @param {HTMLElement} row
 * @param {number} index index in the list, from 0.
 * @param {number | null} gain number of ranks gained, as in `RankChanges`.
 * @param {boolean} isShared whether the item is in another list too.
 */
function updateRow(row, index, gain, isShared) {
  const [button] = childrenOf(row);
  const [rank, , change, , sharedNote] = childrenOf(button);
  rank.textContent = String(index + 1);
  const direction = gain === null ? "new" : gain > 0 ? "up" : gain < 0 ? "down" : "";
  change.className = `rank-change ${direction}`;
  change.replaceChildren(...rankChangeLabel(gain));
  row.classList.toggle("shared", isShared);
  sharedNote.textContent = isShared ? "in more than one list" : "";
}

/**
 * Build the label of a change of rank: a symbol to see, and words for screen readers.
 *
 * @param {number | null} gain
 */
function rankChangeLabel(gain) {
  if (gain === 0) return [];
  const [symbol, words] =
    gain === null
      ? ["", "new in the list"] // a dot, drawn by the style sheet
      : gain > 0
        ? [`▲ ${gain}`, `up ${gain}`]
        : [`▼ ${-gain}`, `down ${-gain}`];
  return [
    element("span", { "aria-hidden": "true", textContent: symbol }),
    element("span", { className: "visually-hidden", textContent: ` ${words}` }),
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
  row.animate([from, {}], { duration: SLIDE_MS, easing: "ease-out" });
}
