/** The facts of a model, from the model card in its file. */

import { byId, element } from "./dom.js";
import { labelOf } from "./told.js";

/** @typedef {import("./bundle.js").Model} Model */

/** @typedef {{bytes: number, name: string}} ModelFile */

/** @type {Record<string, string>} */
const RECIPES = { float32: "32-bit floats", float16: "16-bit floats", int8: "8-bit integers" };

/**
 * Format the facts of a model as pairs of a label and a value.
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
    ...featureFacts(model),
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
 * Format the names of a model's features as a fact; empty if it takes none.
 *
 * @param {Model} model
 */
function featureFacts({ features = [] }) {
  return features.length ? [["Is told", features.map(({ name }) => labelOf(name)).join(", ")]] : [];
}

/**
 * Format the evaluation protocol of recall@10.
 *
 * @param {Model} model
 */
export function protocol(model) {
  const spec = model.evaluation.protocol;
  const leak = spec.leaks_the_future ? " This split leaks the future into training." : "";
  return (
    "recall@10 is the share of people whose next item is among the first ten: " +
    `${spec.dataset}, ${spec.split}, ${spec.test_users.toLocaleString("en")} test users, ` +
    `${spec.candidates.toLocaleString("en")} candidates, seen items ${spec.seen_items}, seed ` +
    `${spec.seed}.${leak}`
  );
}

/**
 * Return recall@10 as measured with the exported file itself.
 *
 * @param {Model} model
 */
export function throughFile(model) {
  return model.evaluation["recall@10 through the file"];
}

/**
 * Render the facts and the protocol of a model.
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
