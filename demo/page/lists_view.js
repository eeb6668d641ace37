/** The recommendations of one model or several, side by side, and what moved in them. */

import { titleOf } from "./catalogue_view.js";
import { element, keep } from "./dom.js";

/** How many items a list shows. */
export const SHOWN = 10;

const MOVE_MS = 350;

/**
 * Say how each item of a list moved.
 *
 * @param {*[]} before the items of the list before, best first; null if there was none.
 * @param {*[]} after the items now.
 * @returns {{places: (?number)[], left: *[]}} for each item of `after` the places it rose (negative:
 *     fell, null: new in the list), and the items that are no longer there.
 */
export function moves(before, after) {
  if (before === null) return { places: after.map(() => 0), left: [] };
  const old = new Map(before.map((item, place) => [item, place]));
  const places = after.map((item, place) => (old.has(item) ? old.get(item) - place : null));
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
  const range = best - scores.at(-1);
  return scores.map((score) => (range > 0 ? 1 - (best - score) / range : 1));
}

export class ListsView {
  #root = document.getElementById("lists");
  #toggle;

  /** @param {(item: number|string) => void} toggle called when a recommendation is tapped. */
  constructor(toggle) {
    this.#toggle = toggle;
    for (const type of ["pointerover", "focusin"]) {
      this.#root.addEventListener(type, ({ target }) => this.#point(target.closest("li")));
    }
    this.#root.addEventListener("pointerleave", () => this.#point(null));
  }

  /**
   * @param {object[]} columns for each model shown: `model` (of listModels), and either `error` or
   *     `recommendations` (all that it gave), `recall`, and `before`, the items of its list before
   *     the last change (null: none).
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

  /** Show how long a recommendation takes. */
  showTime(model, microseconds) {
    const time = this.#root.querySelector(`[data-key="${CSS.escape(model.path)}"] .time`);
    if (time) time.textContent = `${Math.round(microseconds)} µs`;
  }

  #update(article, { error, recommendations = [], recall, before }) {
    const [, facts, problem, list, left] = article.children;
    problem.hidden = !error;
    facts.hidden = Boolean(error);
    problem.textContent = error?.message ?? "";
    facts.lastElementChild.textContent = recall === undefined ? "" : `recall@10 ${recall.toFixed(3)}`;
    const shown = recommendations.slice(0, SHOWN);
    const moved = moves(before, shown.map(({ item }) => item));
    const share = shares(recommendations.map(({ score }) => score));
    const tops = new Map(Array.from(list.children, (row) => [row, row.offsetTop]));
    keep(
      list,
      shown,
      ({ item }) => item,
      (entry) => this.#row(entry),
      (row, { score }, index) => updateRow(row, index, score, share[index], moved.places[index]),
    );
    for (const row of list.children) slide(row, tops.get(row));
    left.textContent = moved.left.length
      ? `Left the ten: ${moved.left.map((item) => list.titles.get(item)).join(", ")}`
      : "";
    list.titles = new Map(shown.map((entry) => [entry.item, titleOf(entry)]));
  }

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

  /** Mark an item in every list. */
  #point(row) {
    for (const other of this.#root.querySelectorAll("li")) {
      other.classList.toggle("same", row !== null && other.dataset.key === row.dataset.key);
    }
  }

  #focus() {
    const row = document.activeElement.closest("#lists li");
    if (!row) return null;
    return { row, list: row.parentElement, index: [...row.parentElement.children].indexOf(row) };
  }

  /** A row that went leaves the focus to the one in its place. */
  #restore(focused) {
    if (!focused || document.activeElement !== document.body) return;
    const row = focused.row.isConnected ? focused.row : focused.list.children[focused.index];
    row?.firstElementChild.focus();
  }
}

function column(model) {
  const list = element("ol");
  list.titles = new Map();
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
    list,
    element("p", { className: "hint left" }),
  );
}

function updateRow(row, index, score, share, places) {
  const [rank, , moved, , number, bar] = row.firstElementChild.children;
  rank.textContent = index + 1;
  number.textContent = score.toFixed(2);
  bar.style.setProperty("--share", share);
  moved.className = `moved ${places === null ? "new" : places > 0 ? "up" : places < 0 ? "down" : ""}`;
  moved.replaceChildren(...movedWords(places));
}

/** A sign for the eye, words for the ear. */
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

/** Let a row glide from where it was. */
function slide(row, top) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const from =
    top === undefined
      ? { opacity: 0 }
      : { transform: `translateY(${top - row.offsetTop}px)` };
  if (top === row.offsetTop) return;
  row.animate([from, {}], { duration: MOVE_MS, easing: "ease-out" });
}
