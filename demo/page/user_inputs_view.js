/** Controls in which the user enters feature values of items, and of the user. */

import { byId, element, updateChildren } from "./dom.js";
import { editableFeatures, featureLabel, isRating } from "./user_inputs.js";

/** @import { InputFeature } from "jaxrec" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @callback OnFeatureChange handler of a new value; undefined if it is unknown.
 * @param {InputFeature} feature
 * @param {string | number | undefined} value
 * @returns {void}
 */

/** Value of a control whose feature value is unknown. */
const UNKNOWN = "";

/** Counter for unique group names: radio buttons of one name exclude each other. */
let groupCount = 0;

/**
 * Render one control per feature, with its current value.
 *
 * @param {HTMLElement} parent
 * @param {InputFeature[]} features
 * @param {FeatureValues} values
 * @param {string} owner suffix of the label for screen readers, such as " of Heat".
 * @param {OnFeatureChange} onChange
 */
export function renderFeatureInputs(parent, features, values, owner, onChange) {
  updateChildren(
    parent,
    features,
    // A model with other values needs a new control.
    ({ name, kind, values: known }) => JSON.stringify([name, kind, known]),
    (feature) => createInput(feature, owner, onChange),
    (control, feature) => setInputValue(control, feature, values[feature.name]),
  );
}

/** View of the controls for the features of the user. */
export class UserFeaturesView {
  #root = byId("user-features");
  #inputs = byId("user-feature-inputs");
  #onChange;

  /** @param {OnFeatureChange} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * Render the controls; hidden if there are none.
   *
   * @param {InputFeature[]} inputFeatures
   * @param {FeatureValues} values
   */
  render(inputFeatures, values) {
    const features = editableFeatures(inputFeatures, "user");
    this.#root.hidden = features.length === 0;
    renderFeatureInputs(this.#inputs, features, values, "", this.#onChange);
  }
}

/**
 * @param {InputFeature} feature
 * @param {string} owner
 * @param {OnFeatureChange} onChange
 * @returns {HTMLElement}
 */
function createInput(feature, owner, onChange) {
  const control = isRating(feature) ? createStars(feature, owner) : createField(feature, owner);
  control.addEventListener("change", ({ target }) => {
    const { value } = /** @type {HTMLInputElement | HTMLSelectElement} */ (target);
    onChange(feature, parseValue(feature, value));
  });
  return control;
}

/**
 * @param {InputFeature} feature
 * @param {string} owner
 */
function createStars({ name, values }, owner) {
  groupCount += 1;
  const group = `stars ${groupCount}`;
  const createStar = (
    /** @type {string} */ value,
    /** @type {string} */ symbol,
    /** @type {string} */ label,
  ) =>
    element(
      "label",
      { title: label },
      element("input", { type: "radio", name: group, value, "aria-label": label }),
      element("span", { textContent: symbol, "aria-hidden": "true" }),
    );
  return element(
    "fieldset",
    { className: "feature-input stars" },
    element("legend", { className: "visually-hidden", textContent: featureLabel(name) + owner }),
    element("span", { className: "name", textContent: featureLabel(name), "aria-hidden": "true" }),
    createStar(UNKNOWN, "?", "unknown"),
    ...values.map((value, index) => createStar(String(index), "★", String(value))),
  );
}

/**
 * @param {InputFeature} feature
 * @param {string} owner
 */
function createField({ name, kind, values }, owner) {
  const createOption = (/** @type {string} */ value, /** @type {string} */ text) =>
    element("option", { value, textContent: text });
  const input =
    kind === "number"
      ? element("input", { type: "number", step: "any", placeholder: "unknown" })
      : element(
          "select",
          {},
          createOption(UNKNOWN, "unknown"),
          ...values.map((value, index) => createOption(String(index), String(value))),
        );
  return element(
    "label",
    { className: "feature-input" },
    element(
      "span",
      { className: "name", textContent: featureLabel(name) },
      element("span", { className: "visually-hidden", textContent: owner }),
    ),
    input,
  );
}

/**
 * @param {InputFeature} feature
 * @param {string} text value of its control: a number, or an index of `values`.
 */
function parseValue({ kind, values }, text) {
  if (text === UNKNOWN) return undefined;
  return kind === "number" ? Number(text) : values[Number(text)];
}

/**
 * @param {InputFeature} feature
 * @param {string | number | undefined} value
 * @returns {string} value of its control, as `parseValue` reads it.
 */
function formatInput({ kind, values }, value) {
  if (kind === "number") return typeof value === "number" ? String(value) : UNKNOWN;
  const index = value === undefined ? -1 : values.indexOf(value);
  return index < 0 ? UNKNOWN : String(index);
}

/**
 * @param {HTMLElement} control
 * @param {InputFeature} feature
 * @param {string | number | undefined} value
 */
function setInputValue(control, feature, value) {
  const text = formatInput(feature, value);
  for (const input of control.querySelectorAll("input, select")) {
    if (input instanceof HTMLInputElement && input.type === "radio") {
      input.checked = input.value === text;
    } else if (input instanceof HTMLInputElement || input instanceof HTMLSelectElement) {
      input.value = text;
    }
  }
}
