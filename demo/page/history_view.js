/** View of the history, the most recent item on top, with controls for each item. */

import { titleOf } from "jaxrec";
import { byId, element, updateChildren } from "./dom.js";
import { editableFeatures, inputsNotice } from "./user_inputs.js";
import { renderFeatureInputs } from "./user_inputs_view.js";

/** @import { Entry, InputFeature, RawItem } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */

/**
 * @typedef {object} HistoryActions handlers of the controls.
 * @property {(item: RawItem) => void} remove
 * @property {(item: RawItem, offset: number) => void} move by `offset` towards the most recent.
 * @property {(item: RawItem) => void} toggleExcluded
 * @property {(item: RawItem, feature: InputFeature, value: string | number | undefined) => void}
 *     setFeature
 * @property {() => void} clear
 * @property {() => void} export
 */

/** @typedef {Record<string, HTMLButtonElement>} Buttons */

/** @typedef {{row: HTMLElement, index: number, button: HTMLButtonElement}} Focus */

/** View of the history and its controls. */
export class HistoryView {
  #list = byId("history-list");
  #hint = byId("history-hint");
  #notice = byId("inputs-notice");
  #listButtons = byId("history-buttons");
  #actions;
  /** @type {WeakMap<Element, Buttons>} buttons of each row, by name. */
  #buttons = new WeakMap();

  /** @param {HistoryActions} actions */
  constructor(actions) {
    this.#actions = actions;
    byId("clear-history").addEventListener("click", () => actions.clear());
    byId("export-history").addEventListener("click", () => actions.export());
  }

  /**
   * Render the history.
   *
   * @param {HistoryEntry[]} entries the oldest first.
   * @param {(item: RawItem) => Entry | undefined} describe returns the catalogue entry of an item.
   * @param {number} historyLength number of items that the model reads, N.
   * @param {InputFeature[]} inputFeatures features that it takes.
   */
  render(entries, describe, historyLength, inputFeatures) {
    const features = editableFeatures(inputFeatures, "activity");
    const usable = entries.filter(({ item, excluded }) => !excluded && describe(item));
    const read = new Set(usable.slice(-historyLength).map(({ item }) => item));
    const focus = this.#getFocus();
    updateChildren(
      this.#list,
      entries.toReversed(),
      ({ item }) => item,
      ({ item }) => this.#createRow(item, describe(item)),
      (row, { item, excluded, features: values = {} }, index) => {
        row.classList.toggle("excluded", excluded);
        row.classList.toggle("not-read", !excluded && !read.has(item));
        const { up, down, exclude } = this.#buttonsOf(row);
        up.disabled = index === 0;
        down.disabled = index === entries.length - 1;
        exclude.setAttribute("aria-pressed", String(excluded));
        const owner = ` of ${titleOf(describe(item) ?? { item })}`;
        const inputs = /** @type {HTMLElement} */ (row.lastElementChild);
        inputs.hidden = features.length === 0;
        renderFeatureInputs(inputs, features, values, owner, (feature, value) =>
          this.#actions.setFeature(item, feature, value),
        );
      },
    );
    this.#restoreFocus(focus);
    this.#hint.textContent = hintText(entries.length, usable.length, historyLength);
    this.#notice.textContent = entries.length > 0 ? inputsNotice(inputFeatures) : "";
    this.#notice.hidden = this.#notice.textContent === "";
    this.#listButtons.hidden = entries.length === 0;
  }

  /**
   * @param {RawItem} item
   * @param {Entry | undefined} entry
   */
  #createRow(item, entry) {
    const title = titleOf(entry ?? { item });
    const note = entry ? (entry.year ?? "") : "unknown to this model";
    const { move, toggleExcluded, remove } = this.#actions;
    const buttons = {
      up: createButton("up", "↑", `Make ${title} more recent`, () => move(item, 1)),
      down: createButton("down", "↓", `Make ${title} less recent`, () => move(item, -1)),
      exclude: createButton("exclude", "Try without", `Try without ${title}`, () =>
        toggleExcluded(item),
      ),
      remove: createButton("remove", "×", `Remove ${title}`, () => remove(item)),
    };
    const row = element(
      "li",
      {},
      element("span", { className: "title", textContent: title }),
      element("span", { className: "year", textContent: note }),
      element("span", { className: "item-buttons" }, ...Object.values(buttons)),
      element("div", { className: "feature-inputs" }),
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
   * @returns {Focus | null}
   */
  #getFocus() {
    const button = document.activeElement;
    /** @type {HTMLElement | null | undefined} */
    const row = button?.closest("#history-list > li");
    if (!row || !(button instanceof HTMLButtonElement)) return null;
    return { row, index: [...this.#list.children].indexOf(row), button };
  }

  /**
   * Restore the focus: a moved row loses it, and a removed row passes it to its neighbour.
   *
   * @param {Focus | null} focus
   */
  #restoreFocus(focus) {
    if (!focus || document.activeElement === focus.button) return;
    const rows = this.#list.children;
    const row = focus.row.isConnected ? focus.row : rows[Math.min(focus.index, rows.length - 1)];
    if (!row) return byId("search").focus();
    const buttons = this.#buttonsOf(row);
    const target = buttons[focus.button.name];
    // A row at the top or bottom has a disabled button, which cannot be focused.
    (target.disabled ? buttons.exclude : target).focus();
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {string} label description for screen readers, and tooltip.
 * @param {() => void} onClick
 */
function createButton(name, text, label, onClick) {
  const labels = { title: label, "aria-label": label };
  const button = element("button", { type: "button", name, textContent: text, ...labels });
  button.addEventListener("click", onClick);
  return button;
}

/**
 * @param {number} count number of entries of the history.
 * @param {number} usableCount number of these that are known and not excluded.
 * @param {number} historyLength number of items that the model reads, N.
 */
function hintText(count, usableCount, historyLength) {
  if (count === 0) return "Your history is empty. Tap a card in the catalogue to add an item.";
  if (usableCount > historyLength) {
    return `The model reads the last ${historyLength} items; older ones are greyed out.`;
  }
  return "Most recent first. The order affects the recommendations.";
}
