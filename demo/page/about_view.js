/** View of the models that are shown: facts from their files, time of a call, and scores. */

import { titleOf } from "jaxrec";
import { byId, element, updateChildren } from "./dom.js";
import { scaleScores } from "./rank_changes.js";
import { LIST_LENGTH } from "./recommendations_view.js";
import { featureLabel } from "./user_inputs.js";

/** @import { Model, Recommendation } from "jaxrec" */
/** @import { ModelResult } from "./model_column.js" */
/** @import { NamedModel } from "./models.js" */

/** @typedef {{bytes: number, name: string}} ModelFile */

/** @type {Record<string, string>} */
const RECIPES = { float32: "32-bit floats", float16: "16-bit floats", int8: "8-bit integers" };

/** View of the figures of each model. */
export class AboutView {
  #models = byId("model-facts");

  /**
   * Render the facts of each model and the scores of its list.
   *
   * @param {ModelResult[]} results
   */
  render(results) {
    updateChildren(
      this.#models,
      results,
      ({ model }) => model.path,
      ({ model }) => createArticle(model),
      (article, { model, recommender, recommendations }) => {
        const [, facts, , scores] = article.children;
        facts.replaceChildren(...createFacts(recommender.model, model, timeOf(facts)));
        scores.replaceChildren(...createScores(recommendations));
      },
    );
    const [first] = results;
    byId("protocol").textContent = first ? formatProtocol(first.recommender.model) : "";
  }

  /**
   * Show the time of a recommendation.
   *
   * @param {NamedModel} model
   * @param {number} microseconds
   */
  showLatency(model, microseconds) {
    const article = this.#models.querySelector(`[data-key="${CSS.escape(model.path)}"]`);
    const time = article?.querySelector(".time");
    if (time) time.textContent = `${Math.round(microseconds)} µs`;
  }
}

/** @param {NamedModel} model */
function createArticle({ name }) {
  return element(
    "article",
    {},
    element("h3", { textContent: name }),
    element("dl"),
    element("h4", { textContent: "Scores (logits)" }),
    element("ol", { className: "scores" }),
  );
}

/**
 * Return the time that is shown, which stays until it is measured again.
 *
 * @param {Element} facts
 */
function timeOf(facts) {
  return facts.querySelector(".time")?.textContent ?? "";
}

/**
 * @param {Model} model
 * @param {ModelFile} file
 * @param {string} time of a recommendation.
 */
function createFacts(model, file, time) {
  return [["Time of a list", time], ...formatFacts(model, file)].flatMap(
    ([label, value], index) => [
      element("dt", { textContent: label }),
      element("dd", { textContent: value, className: index === 0 ? "time" : "" }),
    ],
  );
}

/** @param {Recommendation[]} recommendations all of a model, also those not shown. */
function createScores(recommendations) {
  const scaled = scaleScores(recommendations.map(({ score }) => score));
  return recommendations.slice(0, LIST_LENGTH).map((recommendation, index) => {
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", String(scaled[index]));
    return element(
      "li",
      {},
      element("span", { textContent: titleOf(recommendation) }),
      element("span", { className: "score", textContent: recommendation.score.toFixed(2) }),
      bar,
    );
  });
}

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
function fileRecall({ evaluation }) {
  return evaluation["recall@10 through the file"];
}
