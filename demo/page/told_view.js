/** Controls in which the user enters feature values, of items and of the user. */

import { byId, element, keep } from "./dom.js";
import { askable, isRating, labelOf } from "./told.js";

/** @typedef {import("./features.js").InputFeature} TakenFeature */
/** @typedef {import("./told.js").Told} Told */

/** @typedef {(feature: TakenFeature, value: string | number | undefined) => void} Tell */

/** Value of a control whose feature value is unknown. */
const UNKNOWN = "";

/** Counter for unique group names: radio buttons of one name exclude each other. */
let groupCount = 0;

/**
 * Render one control per feature, with its current value.
 *
 * @param {HTMLElement} place parent of the controls.
 * @param {TakenFeature[]} features
 * @param {Told} told current values.
 * @param {string} whose suffix of the label for screen readers, such as " of Heat".
 * @param {Tell} tell
 */
export function showControls(place, features, told, whose, tell) {
  keep(
    place,
    features,
    ({ name, kind, values }) => JSON.stringify([name, kind, values]),
    (feature) => createControl(feature, whose, tell),
    (created, feature) => setValue(created, feature, told[feature.name]),
  );
}

/** Renders the controls for the features of the user. */
export class YouView {
  #root = byId("you");
  #controls = byId("you-controls");
  #tell;

  /** @param {Tell} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * @param {TakenFeature[]} taken
   * @param {Told} user
   */
  render(taken, user) {
    const features = askable(taken, "user");
    this.#root.hidden = features.length === 0;
    showControls(this.#controls, features, user, "", this.#tell);
  }
}

/**
 * @param {TakenFeature} feature
 * @param {string} whose
 * @param {Tell} tell
 * @returns {HTMLElement}
 */
function createControl(feature, whose, tell) {
  const created = isRating(feature) ? createStars(feature, whose) : createField(feature, whose);
  created.addEventListener("change", ({ target }) => {
    const { value } = /** @type {HTMLInputElement | HTMLSelectElement} */ (target);
    tell(feature, parseValue(feature, value));
  });
  return created;
}

/**
 * @param {TakenFeature} feature
 * @param {string} whose
 */
function createStars({ name, values }, whose) {
  groupCount += 1;
  const group = `stars ${groupCount}`;
  const star = (
    /** @type {string} */ value,
    /** @type {string} */ sign,
    /** @type {string} */ said,
  ) =>
    element(
      "label",
      { title: said },
      element("input", { type: "radio", name: group, value, "aria-label": said }),
      element("span", { textContent: sign, "aria-hidden": "true" }),
    );
  return element(
    "fieldset",
    { className: "control stars" },
    element("legend", { className: "quiet", textContent: labelOf(name) + whose }),
    element("span", { className: "name", textContent: labelOf(name), "aria-hidden": "true" }),
    star(UNKNOWN, "?", "unknown"),
    ...values.map((value, place) => star(String(place), "★", String(value))),
  );
}

/**
 * @param {TakenFeature} feature
 * @param {string} whose
 */
function createField({ name, kind, values }, whose) {
  const option = (/** @type {string} */ value, /** @type {string} */ text) =>
    element("option", { value, textContent: text });
  const input =
    kind === "number"
      ? element("input", { type: "number", step: "any", placeholder: "unknown" })
      : element(
          "select",
          {},
          option(UNKNOWN, "unknown"),
          ...values.map((value, place) => option(String(place), String(value))),
        );
  return element(
    "label",
    { className: "control" },
    element(
      "span",
      { className: "name", textContent: labelOf(name) },
      element("span", { className: "quiet", textContent: whose }),
    ),
    input,
  );
}

/**
 * @param {TakenFeature} feature
 * @param {string} written value of its control.
 */
function parseValue({ kind, values }, written) {
  if (written === UNKNOWN) return undefined;
  return kind === "number" ? Number(written) : values[Number(written)];
}

/**
 * @param {HTMLElement} created a control.
 * @param {TakenFeature} feature
 * @param {string | number | undefined} value
 */
function setValue(created, { kind, values }, value) {
  const place = value === undefined ? -1 : values.indexOf(value);
  const number = typeof value === "number" ? String(value) : UNKNOWN;
  const written = kind === "number" ? number : place < 0 ? UNKNOWN : String(place);
  for (const input of created.querySelectorAll("input, select")) {
    if (input instanceof HTMLInputElement && input.type === "radio") {
      input.checked = input.value === written;
    } else if (input instanceof HTMLInputElement || input instanceof HTMLSelectElement) {
      input.value = written;
    }
  }
}
