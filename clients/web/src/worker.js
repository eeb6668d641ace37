/**
 * Script of a worker: runs the recommender of a `WorkerRecommender` off the main thread.
 *
 * Messages to the worker are calls: `{id, method, values}`, the first of them `load`. It answers each
 * with `{id, result}` or `{id, error: {name, message}}`. The results of `load` and `update` have the
 * properties of the recommender.
 */

import { Recommender } from "./recommender.js";

/**
 * Methods that the worker answers; the others are properties of the recommender in the page.
 *
 * @typedef {"adapt" | "describe" | "encode" | "knows" | "predict" | "rate" | "recommend"
 *     | "recommendMany" | "score" | "similar" | "vectors"} Method
 */

/**
 * @typedef {object} Call
 * @property {number} id
 * @property {"load" | "update" | Method} method
 * @property {unknown[]} values arguments.
 */

/**
 * @typedef {{id: number, result: unknown} | {id: number, error: {name: string, message: string}}}
 *     Answer
 */

/** @type {Promise<Recommender> | undefined} */
let loading;

addEventListener("message", async ({ data }) => {
  const { id, method, values } = /** @type {Call} */ (data);
  /** @type {Answer} */
  let answer;
  try {
    answer = { id, result: await run(method, values) };
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    answer = { id, error: { name, message } };
  }
  postMessage(answer);
});

/**
 * @param {Call["method"]} method
 * @param {unknown[]} values
 */
async function run(method, values) {
  if (method === "load") {
    const [source, options] = /** @type {Parameters<typeof Recommender.load>} */ (values);
    loading = Recommender.load(source, options);
    return propertiesOf(await loading);
  }
  if (method === "update") {
    const loaded = /** @type {Recommender} */ (await loading);
    const isReplaced = await loaded.update(
      .../** @type {Parameters<Recommender["update"]>} */ (values),
    );
    return { isReplaced, loaded: propertiesOf(loaded) };
  }
  const recommender = /** @type {Record<Method, (...values: unknown[]) => unknown>} */ (
    /** @type {unknown} */ (await loading)
  );
  return recommender[method](...values);
}

/** @param {Recommender} recommender */
function propertiesOf({ items, model, topK, historyLength, features }) {
  return { items, model, topK, historyLength, features };
}
