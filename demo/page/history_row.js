/** A row of the history: one line, and the controls of its item when it is open. */

import { titleOf } from "jaxrec";
import { element } from "./dom.js";
import { isRating } from "./user_inputs.js";
import { renderFeatureInputs } from "./user_inputs_view.js";

/** @import { Entry, InputFeature, RawItem } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @callback SetFeature
 * @param {RawItem} item
 * @param {InputFeature} feature
 * @param {string | number | undefined} value undefined if unknown.
 * @returns {void}
 */

/**
 * @typedef {object} RowActions handlers of the controls of an item.
 * @property {(item: RawItem) => void} remove
 * @property {(item: RawItem, offset: number) => void} move by `offset` towards the most recent.
 * @property {(item: RawItem) => void} toggleExcluded
 * @property {SetFeature} setFeature
 */

/**
 * @typedef {object} RowState
 * @property {boolean} isRead whether the model reads the item.
 * @property {boolean} isLatest
 * @property {boolean} isOldest
 * @property {InputFeature[]} features features whose values the user can enter.
 */

/** Number of the latest row, for the ids of rows. */
let rowCount = 0;

/**
 * Create the row of an item.
 *
 * @param {RawItem} item
 * @param {Entry | undefined} entry
 * @param {RowActions} actions
 */
export function createRow(item, entry, { move, toggleExcluded, remove }) {
  const title = titleOf(entry ?? { item });
  rowCount += 1;
  const detailsId = `history-details-${rowCount}`;
  const toggle = element(
    "button",
    { type: "button", name: "details", "aria-expanded": "false", "aria-controls": detailsId },
    element("span", { className: "title", textContent: title }),
    element("span", { className: "note" }),
  );
  const details = element(
    "div",
    { className: "row-details", id: detailsId, hidden: true },
    element(
      "span",
      { className: "item-buttons" },
      createButton("up", "↑", `Make ${title} more recent`, () => move(item, 1)),
      createButton("down", "↓", `Make ${title} less recent`, () => move(item, -1)),
      createButton("exclude", "Try without", `Try without ${title}`, () => toggleExcluded(item)),
    ),
    element("div", { className: "feature-inputs" }),
  );
  toggle.addEventListener("click", () => {
    details.hidden = !details.hidden;
    toggle.setAttribute("aria-expanded", String(!details.hidden));
  });
  const row = element(
    "li",
    {},
    toggle,
    createButton("remove", "×", `Remove ${title}`, () => remove(item)),
    details,
  );
  row.dataset.title = title;
  if (entry) row.dataset.year = String(entry.year ?? "");
  return row;
}

/**
 * Render the state of a row.
 *
 * @param {HTMLElement} row
 * @param {HistoryEntry} entry
 * @param {RowState} state
 * @param {SetFeature} setFeature
 */
export function updateRow(row, { item, excluded, features: values = {} }, state, setFeature) {
  const { features, isRead } = state;
  row.classList.toggle("excluded", excluded);
  row.classList.toggle("not-read", !excluded && !isRead);
  buttonOf(row, "up").disabled = state.isLatest;
  buttonOf(row, "down").disabled = state.isOldest;
  buttonOf(row, "exclude").setAttribute("aria-pressed", String(excluded));
  const [, note] = buttonOf(row, "details").children;
  const rating = ratingText(features, values);
  note.className = rating || !row.dataset.year ? "note" : "note year";
  note.textContent = rating || (row.dataset.year ?? "unknown to this model");
  const inputs = /** @type {HTMLElement} */ (row.querySelector(".feature-inputs"));
  inputs.hidden = features.length === 0;
  renderFeatureInputs(inputs, features, values, ` of ${row.dataset.title}`, (feature, value) =>
    setFeature(item, feature, value),
  );
}

/**
 * Focus a button of a row, or one that can be focused: the others are disabled or closed.
 *
 * @param {HTMLElement} row
 * @param {string} name name of the button.
 */
export function focusButton(row, name) {
  for (const each of [name, "exclude", "details"]) {
    buttonOf(row, each).focus();
    if (document.activeElement === buttonOf(row, each)) return;
  }
}

/**
 * @param {HTMLElement} row
 * @param {string} name
 */
function buttonOf(row, name) {
  return /** @type {HTMLButtonElement} */ (row.querySelector(`button[name="${name}"]`));
}

/**
 * Format the ratings that the user gave, such as "4 ★"; empty if there are none.
 *
 * @param {InputFeature[]} features
 * @param {FeatureValues} values
 */
function ratingText(features, values) {
  const ratings = features.filter(isRating).flatMap(({ name }) => values[name] ?? []);
  return ratings.map((rating) => `${rating} ★`).join(" ");
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
