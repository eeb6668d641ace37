/** View of the history, the most recent item on top, with controls to reorder and leave out. */

import { titleOf } from "./catalogue.js";
import { byId, element, keep } from "./dom.js";
import { askable, saidOf } from "./told.js";
import { showControls } from "./told_view.js";

/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./catalogue.js").Entry} Entry */
/** @typedef {import("./features.js").InputFeature} TakenFeature */
/** @typedef {import("./history.js").Chosen} Chosen */

/**
 * @typedef {object} Actions handlers of the controls.
 * @property {(item: Item) => void} remove
 * @property {(item: Item, places: number) => void} move by `places` towards the most recent.
 * @property {(item: Item) => void} without
 * @property {(item: Item, feature: TakenFeature, value: string | number | undefined) => void} tell
 * @property {() => void} clear
 * @property {() => void} export
 */

/** @typedef {Record<string, HTMLButtonElement>} Buttons */

/** @typedef {{row: HTMLElement, index: number, button: HTMLButtonElement}} Focused */

/** Renders the history and its controls. */
export class HistoryView {
  #list = byId("seen");
  #hint = byId("history-hint");
  #told = byId("told-hint");
  #tools = byId("history-tools");
  #actions;
  /** @type {WeakMap<Element, Buttons>} buttons of each row, by name. */
  #buttons = new WeakMap();

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    byId("clear").addEventListener("click", () => actions.clear());
    byId("export").addEventListener("click", () => actions.export());
  }

  /**
   * @param {Chosen[]} entries the oldest first.
   * @param {(item: Item) => Entry | undefined} describe returns the catalogue entry of an item.
   * @param {number} length number of items that the model reads, N.
   * @param {TakenFeature[]} taken features that it takes.
   */
  render(entries, describe, length, taken) {
    const features = askable(taken, "activity");
    const read = entries.filter(({ item, without }) => !without && describe(item));
    const last = new Set(read.slice(-length).map(({ item }) => item));
    const focused = this.#getFocus();
    keep(
      this.#list,
      entries.toReversed(),
      ({ item }) => item,
      ({ item }) => this.#row(item, describe(item)),
      (row, { item, without, told = {} }, index) => {
        row.classList.toggle("without", without);
        row.classList.toggle("unread", !without && !last.has(item));
        const { up, down, what } = this.#buttonsOf(row);
        up.disabled = index === 0;
        down.disabled = index === entries.length - 1;
        what.setAttribute("aria-pressed", String(without));
        const whose = ` of ${titleOf(describe(item) ?? { item })}`;
        const place = /** @type {HTMLElement} */ (row.lastElementChild);
        place.hidden = features.length === 0;
        showControls(place, features, told, whose, (feature, value) =>
          this.#actions.tell(item, feature, value),
        );
      },
    );
    this.#restoreFocus(focused);
    this.#hint.textContent = hint(entries.length, read.length, length);
    this.#told.textContent = entries.length > 0 ? saidOf(taken) : "";
    this.#told.hidden = this.#told.textContent === "";
    this.#tools.hidden = entries.length === 0;
  }

  /**
   * @param {Item} item
   * @param {Entry | undefined} entry
   */
  #row(item, entry) {
    const title = titleOf(entry ?? { item });
    const note = entry ? (entry.year ?? "") : "unknown to this model";
    const buttons = {
      up: button("up", "↑", `${title}: more recent`, () => this.#actions.move(item, 1)),
      down: button("down", "↓", `${title}: less recent`, () => this.#actions.move(item, -1)),
      what: button("what", "What if not?", `What if not? As if you had not seen ${title}`, () =>
        this.#actions.without(item),
      ),
      remove: button("remove", "×", `Remove ${title}`, () => this.#actions.remove(item)),
    };
    const row = element(
      "li",
      {},
      element("span", { className: "title", textContent: title }),
      element("span", { className: "year", textContent: note }),
      element("span", { className: "tools" }, ...Object.values(buttons)),
      element("div", { className: "controls" }),
    );
    this.#buttons.set(row, buttons);
    return row;
  }

  /** @param {Element} row */
  #buttonsOf(row) {
    return this.#buttons.get(row) ?? {};
  }

  /**
   * Return the button that has the focus, with its row.
   *
   * @returns {Focused | null}
   */
  #getFocus() {
    const button = document.activeElement;
    /** @type {HTMLElement | null | undefined} */
    const row = button?.closest("#seen > li");
    if (!row || !(button instanceof HTMLButtonElement)) return null;
    return { row, index: [...this.#list.children].indexOf(row), button };
  }

  /**
   * Restore the focus: a moved row loses it, and a removed row passes it to its neighbour.
   *
   * @param {Focused | null} focused
   */
  #restoreFocus(focused) {
    if (!focused || document.activeElement === focused.button) return;
    const rows = this.#list.children;
    const row = focused.row.isConnected
      ? focused.row
      : rows[Math.min(focused.index, rows.length - 1)];
    if (!row) return byId("search").focus();
    const buttons = this.#buttonsOf(row);
    const target = buttons[focused.button.name];
    // A row at the top or bottom has a disabled button, which cannot be focused.
    (target.disabled ? buttons.what : target).focus();
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} label description for screen readers, and tooltip.
 * @param {() => void} act
 */
function button(name, text, label, act) {
  const labels = { title: label, "aria-label": label };
  const made = element("button", { type: "button", name, textContent: text, ...labels });
  made.addEventListener("click", act);
  return made;
}

/**
 * @param {number} chosen number of entries of the history.
 * @param {number} read number of these that are known and not left out.
 * @param {number} length number of items that the model reads, N.
 */
function hint(chosen, read, length) {
  if (chosen === 0) return "Nothing yet. Tap a card of the catalogue.";
  if (read > length) return `The model reads the last ${length}; the pale ones are older.`;
  return "The most recent on top: their order counts.";
}
