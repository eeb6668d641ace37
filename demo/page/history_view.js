/** View of the history, the most recent item on top; items that are not read are folded away. */

import { byId, updateChildren } from "./dom.js";
import { createRow, focusButton, updateRow } from "./history_row.js";
import { editableFeatures, inputsNotice } from "./user_inputs.js";

/** @import { Entry, InputFeature, RawItem } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */
/** @import { RowActions } from "./history_row.js" */

/**
 * @typedef {object} ListActions handlers of the controls of the whole history.
 * @property {() => void} clear
 * @property {() => void} export
 */

/** @typedef {{row: HTMLElement, index: number, button: HTMLButtonElement}} Focus */

/** View of the history and its controls. */
export class HistoryView {
  #root = byId("history");
  #rows = byId("history-rows");
  #older = byId("older-items");
  #olderRows = byId("older-rows");
  #hint = byId("history-hint");
  #notice = byId("inputs-notice");
  #listButtons = byId("history-buttons");
  #actions;

  /** @param {RowActions & ListActions} actions */
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
    const latest = entries.toReversed();
    const olderCount =
      usable.length > historyLength ? entries.findIndex(({ item }) => read.has(item)) : 0;
    const splitAt = entries.length - olderCount;
    const renderRows = (/** @type {HTMLElement} */ list, /** @type {HistoryEntry[]} */ part) =>
      updateChildren(
        list,
        part,
        ({ item }) => item,
        ({ item }) => createRow(item, describe(item), this.#actions),
        (row, entry) => {
          const isRead = read.has(entry.item);
          const [isLatest, isOldest] = [entry === latest[0], entry === entries[0]];
          updateRow(row, entry, { isRead, isLatest, isOldest, features }, this.#actions.setFeature);
        },
      );
    renderRows(this.#rows, latest.slice(0, splitAt));
    renderRows(this.#olderRows, latest.slice(splitAt));
    this.#older.hidden = olderCount === 0;
    byId("older-summary").textContent =
      `${olderCount} older ${olderCount === 1 ? "item" : "items"}, not read by the model`;
    this.#restoreFocus(focus);
    this.#hint.textContent = hintText(entries.length, usable.length, historyLength);
    this.#notice.textContent = entries.length > 0 ? inputsNotice(inputFeatures) : "";
    this.#notice.hidden = this.#notice.textContent === "";
    this.#listButtons.hidden = entries.length === 0;
  }

  /** Return the rows, also those that are folded away. */
  #allRows() {
    return /** @type {HTMLElement[]} */ ([...this.#rows.children, ...this.#olderRows.children]);
  }

  /**
   * Return the button that has the focus, with its row.
   *
   * @returns {Focus | null}
   */
  #getFocus() {
    const button = document.activeElement;
    /** @type {HTMLElement | null | undefined} */
    const row = button?.closest("#history-list li");
    if (!row || !(button instanceof HTMLButtonElement)) return null;
    return { row, index: this.#allRows().indexOf(row), button };
  }

  /**
   * Restore the focus: a moved row loses it, and a removed row passes it to its neighbour.
   *
   * @param {Focus | null} focus
   */
  #restoreFocus(focus) {
    if (!focus || document.activeElement === focus.button) return;
    const rows = this.#allRows();
    const row = focus.row.isConnected ? focus.row : rows[Math.min(focus.index, rows.length - 1)];
    if (row) focusButton(row, focus.button.name);
    else this.#root.focus();
  }
}

/**
 * @param {number} count number of entries of the history.
 * @param {number} usableCount number of these that are known and not excluded.
 * @param {number} historyLength number of items that the model reads, N.
 */
function hintText(count, usableCount, historyLength) {
  if (count === 0) return "Your history is empty. Tap a card in the catalogue to add an item.";
  if (usableCount > historyLength) {
    return `The model reads the last ${historyLength} items. Their order affects the list.`;
  }
  return "Most recent first. The order affects the recommendations.";
}
