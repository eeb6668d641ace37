/** View of the user's adapters: buttons to learn, forget and export, and the outcome. */

import { byId } from "./dom.js";
import { canLearn } from "./learning.js";
import { isKept, minKnownItems } from "./user_adapter.js";

/** @typedef {import("./user_adapter.js").Adapter} Adapter */
/** @typedef {import("./learning.js").Learner} Learner */

/** Renders the buttons and the state of the adapters. */
export class LearningView {
  #learn = byId("learn", HTMLButtonElement);
  #forget = byId("forget");
  #export = byId("export-learned");

  /** @param {{learn: () => void, forget: () => void, export: () => void}} actions */
  constructor(actions) {
    this.#learn.addEventListener("click", actions.learn);
    this.#forget.addEventListener("click", actions.forget);
    this.#export.addEventListener("click", actions.export);
  }

  /**
   * Show the available actions and the state of each adapter.
   *
   * @param {Learner[]} learners learners of the models that are shown; hidden if there are none.
   * @param {boolean} isLearning
   */
  render(learners, isLearning) {
    byId("learning").hidden = learners.length === 0;
    const learned = learners.some(({ adapter }) => adapter !== undefined);
    this.#learn.disabled = isLearning || !learners.some(canLearn);
    this.#forget.hidden = this.#export.hidden = !learned;
    byId("learned").textContent = isLearning
      ? "Learning from your history, on this device …"
      : learners.map((each) => statusText(each, learners.length > 1)).join(" ");
  }
}

/**
 * Format the state of a model's adapter, or the requirements to fit one.
 *
 * @param {Learner} learner
 * @param {boolean} named whether to prefix the model's name.
 */
function statusText({ name, settings, known, adapter }, named) {
  const who = named ? `${name}: ` : "";
  if (adapter === undefined) {
    const least = minKnownItems(settings);
    if (known < least) return `${who}Learning takes ${least} items or more; you have ${known}.`;
    return `${who}The model can learn from up to ${settings.activities} of your last items.`;
  }
  const held = `your last ${settings.held_back} items`;
  const losses = `${formatLoss(adapter.before)} → ${formatLoss(adapter.after)}`;
  return isKept(adapter)
    ? `${who}Learned and kept: it would have foreseen ${held} better (surprise ${losses}).`
    : `${who}Learned and dropped: it would not have foreseen ${held} better (surprise ${losses}).`;
}

/** @param {number | null} loss */
function formatLoss(loss) {
  return loss === null ? "unknown" : loss.toFixed(3);
}
