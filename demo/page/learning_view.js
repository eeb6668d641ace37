/** The buttons by which a person lets the models learn, and what came of it. */

import { isKept, leastToLearn } from "./adapter.js";
import { byId } from "./dom.js";
import { canLearn } from "./learning.js";

/** @typedef {import("./adapter.js").Adapter} Adapter */
/** @typedef {import("./learning.js").Learner} Learner */

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
   * Show what can be done, and what was learned.
   *
   * @param {Learner[]} learners of the models that are shown; without any there is nothing to see.
   * @param {boolean} isLearning
   */
  render(learners, isLearning) {
    byId("learning").hidden = learners.length === 0;
    const learned = learners.some(({ adapter }) => adapter !== undefined);
    this.#learn.disabled = isLearning || !learners.some(canLearn);
    this.#forget.hidden = this.#export.hidden = !learned;
    byId("learned").textContent = isLearning
      ? "Learning from your history, on this device …"
      : learners.map((each) => words(each, learners.length > 1)).join(" ");
  }
}

/**
 * Say of a model what it has learned, or what it takes.
 *
 * @param {Learner} learner
 * @param {boolean} named whether there are others.
 */
function words({ name, settings, known, adapter }, named) {
  const who = named ? `${name}: ` : "";
  if (adapter === undefined) {
    const least = leastToLearn(settings);
    if (known < least) return `${who}Learning takes ${least} items or more; you have ${known}.`;
    return `${who}The model can learn from up to ${settings.activities} of your last items.`;
  }
  const held = `your last ${settings.held_back} items`;
  const losses = `${shown(adapter.before)} → ${shown(adapter.after)}`;
  return isKept(adapter)
    ? `${who}Learned and kept: it would have foreseen ${held} better (surprise ${losses}).`
    : `${who}Learned and dropped: it would not have foreseen ${held} better (surprise ${losses}).`;
}

/** @param {number | null} loss */
function shown(loss) {
  return loss === null ? "unknown" : loss.toFixed(3);
}
