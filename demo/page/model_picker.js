/** Choice of the model that is shown, or of all models side by side. */

import { byId, radioChip } from "./dom.js";

/** @import { ModelColumn } from "./model_column.js" */

const ALL = "all";

/**
 * Offer a choice of models, if there are several; the first is selected.
 *
 * @param {ModelColumn[]} columns
 * @param {(shown: ModelColumn[], message: string) => void} onChange called with the columns to show
 *     and an announcement for screen readers.
 */
export function renderModelPicker(columns, onChange) {
  if (columns.length < 2) return;
  const createChip = (/** @type {string} */ value, /** @type {string} */ text) =>
    radioChip({ name: "model", value, text, checked: value === "0" });
  const picker = byId("models");
  picker.append(
    ...columns.map(({ model }, index) => createChip(String(index), model.name)),
    createChip(ALL, "Side by side"),
  );
  picker.hidden = false;
  picker.addEventListener("change", ({ target }) => {
    const { value } = /** @type {HTMLInputElement} */ (target);
    document.body.classList.toggle("side-by-side", value === ALL);
    if (value === ALL) return onChange(columns, "All models side by side");
    const column = columns[Number(value)];
    onChange([column], column.model.name);
  });
}
