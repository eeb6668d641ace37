/** What a model says of itself, from the card inside its file. */

import { byId, element } from "./dom.js";
import { labelOf } from "./told.js";

/** @typedef {import("./bundle.js").Model} Model */

/** @typedef {{bytes: number, name: string}} ModelFile */

/** @type {Record<string, string>} */
const RECIPES = { float32: "32-bit floats", float16: "16-bit floats", int8: "8-bit integers" };

/**
 * Give the facts of a model, for people: pairs of a name and a value.
 *
 * @param {Model} model
 * @param {ModelFile} file
 */
export function facts(model, file) {
  const { test } = model.evaluation;
  const [low, high] = test["recall@10_interval"];
  const recall = throughFile(model);
  return [
    ["Encoder", `${file.name} (${model.encoder})`],
    ["Reads", `the last ${model.history_length} items`],
    ...told(model),
    ["Knows", `${model.vocabulary.size.toLocaleString("en")} items`],
    ["File", `${Math.round(file.bytes / 1000).toLocaleString("en")} KB, catalogue included`],
    ["Weights", RECIPES[model.recipe] ?? model.recipe],
    ["recall@10", `${recall.toFixed(4)} (95%: ${low.toFixed(3)} to ${high.toFixed(3)})`],
    ...Object.entries(model.evaluation.baselines).map(([name, figures]) => [
      `vs. ${name}`,
      figures["recall@10"].toFixed(4),
    ]),
  ];
}

/**
 * Give the fact of what a model is told beside the history, if it is.
 *
 * @param {Model} model
 */
function told({ features = [] }) {
  return features.length ? [["Is told", features.map(({ name }) => labelOf(name)).join(", ")]] : [];
}

/**
 * Say how recall@10 was measured.
 *
 * @param {Model} model
 */
export function protocol(model) {
  const told = model.evaluation.protocol;
  const leak = told.leaks_the_future ? " This split leaks the future into training." : "";
  return (
    "recall@10 is the share of people whose next item is among the first ten: " +
    `${told.dataset}, ${told.split}, ${told.test_users.toLocaleString("en")} test users, ` +
    `${told.candidates.toLocaleString("en")} candidates, seen items ${told.seen_items}, seed ` +
    `${told.seed}.${leak}`
  );
}

/**
 * Give recall@10 as measured through the very file.
 *
 * @param {Model} model
 */
export function throughFile(model) {
  return model.evaluation["recall@10 through the file"];
}

/**
 * Show them.
 *
 * @param {Model} model
 * @param {ModelFile} file
 */
export function showAbout(model, file) {
  const pairs = facts(model, file).flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: value }),
  ]);
  byId("facts").replaceChildren(...pairs);
  byId("protocol").textContent = protocol(model);
}
