/** Facts of a model, from the model.json in its file. */

import { byId, element } from "./dom.js";
import { featureLabel } from "./user_inputs.js";

/** @import { Model } from "jaxrec" */

/** @typedef {{bytes: number, name: string}} ModelFile */

/** @type {Record<string, string>} */
const RECIPES = { float32: "32-bit floats", float16: "16-bit floats", int8: "8-bit integers" };

/**
 * Format the facts of a model as pairs of a label and a value.
 *
 * @param {Model} model
 * @param {ModelFile} file
 */
function formatFacts(model, file) {
  const { test } = model.evaluation;
  const [low, high] = test["recall@10_interval"];
  return [
    ["Encoder", `${file.name} (${model.encoder})`],
    ["Reads", `the last ${model.history_length} items`],
    ...formatFeatures(model),
    ["Catalogue", `${model.vocabulary.size.toLocaleString("en")} items`],
    ["File", `${Math.round(file.bytes / 1000).toLocaleString("en")} KB, with the catalogue`],
    ["Weights", RECIPES[model.recipe] ?? model.recipe],
    ["recall@10", `${fileRecall(model).toFixed(4)} (95%: ${low.toFixed(3)} to ${high.toFixed(3)})`],
    ...Object.entries(model.evaluation.baselines).map(([name, figures]) => [
      `vs. ${name}`,
      figures["recall@10"].toFixed(4),
    ]),
  ];
}

/**
 * Format the names of a model's features as a fact; empty if it has none.
 *
 * @param {Model} model
 */
function formatFeatures({ features = [] }) {
  if (features.length === 0) return [];
  return [["Also reads", features.map(({ name }) => featureLabel(name)).join(", ")]];
}

/**
 * Format the evaluation protocol of recall@10.
 *
 * @param {Model} model
 */
function formatProtocol({ evaluation: { protocol } }) {
  const leak = protocol.leaks_the_future ? " This split leaks the future into training." : "";
  return (
    "recall@10 is the share of test users whose next item is in the top 10: " +
    `${protocol.dataset}, ${protocol.split}, ` +
    `${protocol.test_users.toLocaleString("en")} test users, ` +
    `${protocol.candidates.toLocaleString("en")} candidates, ` +
    `history ${protocol.excludes_history ? "excluded" : "included"}, ` +
    `seed ${protocol.seed}.${leak}`
  );
}

/**
 * Return recall@10 as measured with the exported file itself.
 *
 * @param {Model} model
 */
export function fileRecall({ evaluation }) {
  return evaluation["recall@10 through the file"];
}

/**
 * Render the facts and the evaluation protocol of a model.
 *
 * @param {Model} model
 * @param {ModelFile} file
 */
export function renderAbout(model, file) {
  const facts = formatFacts(model, file).flatMap(([label, value]) => [
    element("dt", { textContent: label }),
    element("dd", { textContent: value }),
  ]);
  byId("model-facts").replaceChildren(...facts);
  byId("protocol").textContent = formatProtocol(model);
}
