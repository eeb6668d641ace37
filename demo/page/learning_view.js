/** View of the user's adapters: buttons to learn, delete and export them, and their state. */

import { isKept, minKnownItems } from "jaxrec";
import { byId } from "./dom.js";
import { hasEnoughItems } from "./learning.js";

/** @import { AdapterState } from "./learning.js" */

/**
 * @typedef {object} LearningActions handlers of the buttons.
 * @property {() => void} learn
 * @property {() => void} forget
 * @property {() => void} export
 */

/** View of the buttons and of the state of each adapter. */
export class LearningView {
  #learn = byId("learn", HTMLButtonElement);
  #forget = byId("forget");
  #export = byId("export-adapters");

  /** @param {LearningActions} actions */
  constructor(actions) {
    this.#learn.addEventListener("click", actions.learn);
    this.#forget.addEventListener("click", actions.forget);
    this.#export.addEventListener("click", actions.export);
  }

  /**
   * Render the available actions and the state of each adapter; hidden if there are none.
   *
   * @param {AdapterState[]} states one for each model that is shown and can learn.
   * @param {boolean} isLearning
   */
  render(states, isLearning) {
    byId("learning").hidden = states.length === 0;
    const hasAdapter = states.some(({ adapter }) => adapter !== undefined);
    this.#learn.disabled = isLearning || !states.some(hasEnoughItems);
    this.#forget.hidden = this.#export.hidden = !hasAdapter;
    byId("learning-status").textContent = isLearning
      ? "Learning from your history, on this device …"
      : states.map((each) => statusText(each, states.length > 1)).join(" ");
  }
}

/**
 * Format the state of a model's adapter, or the requirements to learn one.
 *
 * @param {AdapterState} state
 * @param {boolean} isNamed whether to prefix the name of the model.
 */
function statusText({ name, settings, knownCount, adapter }, isNamed) {
  const prefix = isNamed ? `${name}: ` : "";
  if (adapter === undefined) {
    const minimum = minKnownItems(settings);
    if (knownCount < minimum) {
      return `${prefix}Learning needs at least ${minimum} items; you have ${knownCount}.`;
    }
    return `${prefix}The model can learn from up to ${settings.activities} of your last items.`;
  }
  const items = `your last ${settings.held_out} items`;
  const losses = `(loss ${formatLoss(adapter.before)} → ${formatLoss(adapter.after)})`;
  return isKept(adapter)
    ? `${prefix}Learned and kept: the model predicts ${items} better ${losses}.`
    : `${prefix}Learned and discarded: the model does not predict ${items} better ${losses}.`;
}

/** @param {number | null} loss */
function formatLoss(loss) {
  return loss === null ? "unknown" : loss.toFixed(3);
}
