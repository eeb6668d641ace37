/** What a model says of itself, from the card inside its file. */

import { element } from "./dom.js";

const RECIPES = { float32: "32-bit floats", float16: "16-bit floats", int8: "8-bit integers" };

/**
 * Give the facts of a model, for people: pairs of a name and a value.
 *
 * @param {object} model model.json.
 * @param {{bytes: number, name: string}} file
 */
export function facts(model, file) {
  const { test } = model.evaluation;
  const [low, high] = test["recall@10_interval"];
  return [
    ["Encoder", `${file.name} (${model.encoder})`],
    ["Reads", `the last ${model.history_length} items`],
    ["Knows", `${model.vocabulary.size.toLocaleString("en")} items`],
    ["File", `${Math.round(file.bytes / 1000).toLocaleString("en")} KB, catalogue included`],
    ["Weights", RECIPES[model.recipe] ?? model.recipe],
    ["recall@10", `${throughFile(model).toFixed(4)} (95%: ${low.toFixed(3)} to ${high.toFixed(3)})`],
    ...Object.entries(model.evaluation.baselines).map(([name, figures]) => [
      `vs. ${name}`,
      figures["recall@10"].toFixed(4),
    ]),
  ];
}

/** Say how recall@10 was measured. */
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

/** recall@10 as measured through the very file. */
export function throughFile(model) {
  return model.evaluation["recall@10 through the file"];
}

/** Show them. */
export function showAbout(model, file) {
  const pairs = facts(model, file).flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", { textContent: value }),
  ]);
  document.getElementById("facts").replaceChildren(...pairs);
  document.getElementById("protocol").textContent = protocol(model);
}
