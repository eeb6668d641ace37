/** The controls by which a person tells a model what it takes beside what they have seen. */

import { byId, element, keep } from "./dom.js";
import { askable, isRating, labelOf } from "./told.js";

/** @typedef {import("./features.js").TakenFeature} TakenFeature */
/** @typedef {import("./told.js").Told} Told */

/** @typedef {(feature: TakenFeature, value: string | number | undefined) => void} Tell */

/** What a control of no value has. */
const UNKNOWN = "";

/** Radios of one name exclude each other: each row of stars has a name of its own. */
let groups = 0;

/**
 * Have an element hold a control for each feature, which shows what was told.
 *
 * @param {HTMLElement} place
 * @param {TakenFeature[]} features
 * @param {Told} told
 * @param {string} whose for who cannot see where the control stands, as " of Heat".
 * @param {Tell} tell
 */
export function showControls(place, features, told, whose, tell) {
  keep(
    place,
    features,
    ({ name, kind, values }) => JSON.stringify([name, kind, values]),
    (feature) => control(feature, whose, tell),
    (made, feature) => show(made, feature, told[feature.name]),
  );
}

/** What a model takes of the person. */
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
function control(feature, whose, tell) {
  const made = isRating(feature) ? stars(feature, whose) : field(feature, whose);
  made.addEventListener("change", ({ target }) => {
    const { value } = /** @type {HTMLInputElement | HTMLSelectElement} */ (target);
    tell(feature, meant(feature, value));
  });
  return made;
}

/**
 * @param {TakenFeature} feature
 * @param {string} whose
 */
function stars({ name, values }, whose) {
  groups += 1;
  const group = `stars ${groups}`;
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
function field({ name, kind, values }, whose) {
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
 * @param {string} written what its control has.
 */
function meant({ kind, values }, written) {
  if (written === UNKNOWN) return undefined;
  return kind === "number" ? Number(written) : values[Number(written)];
}

/**
 * @param {HTMLElement} made a control.
 * @param {TakenFeature} feature
 * @param {string | number | undefined} value
 */
function show(made, { kind, values }, value) {
  const place = value === undefined ? -1 : values.indexOf(value);
  const number = typeof value === "number" ? String(value) : UNKNOWN;
  const written = kind === "number" ? number : place < 0 ? UNKNOWN : String(place);
  for (const input of made.querySelectorAll("input, select")) {
    if (input instanceof HTMLInputElement && input.type === "radio") {
      input.checked = input.value === written;
    } else if (input instanceof HTMLInputElement || input instanceof HTMLSelectElement) {
      input.value = written;
    }
  }
}
