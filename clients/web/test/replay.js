/** Replay of a golden case: one call of the runtime, from JSON values to JSON values. */

/** @import { Rating } from "jaxrec" */
/** @import { Recommender } from "jaxrec/node" */

/** @type {Record<string, (recommender: Recommender, values: Record<string, any>) => unknown>} */
const CALLS = {
  recommend: (recommender, { items, k, ...options }) => recommender.recommend(items, k, options),
  recommend_many: (recommender, { histories, k, ...options }) =>
    recommender.recommendMany(histories, k, options),
  similar: (recommender, { item, k }) => recommender.similar(item, k),
  score: (recommender, { items, candidates, ...options }) =>
    recommender.score(items, candidates, options),
  rate: async (recommender, { items, candidates, ...options }) =>
    (await recommender.rate(items, candidates, options)).map(toPlainRating),
  encode: async (recommender, { items, ...options }) =>
    Array.from(await recommender.encode(items, options)),
  describe: (recommender, { item }) => recommender.describe(item) ?? null,
  knows: (recommender, { item }) => recommender.knows(item),
  adapt: (recommender, { items, ...options }) => recommender.adapt(items, options),
};

/** @param {Rating | null} rating */
function toPlainRating(rating) {
  if (!rating) return null;
  const { item, expected, atLeast } = rating;
  return { item, expected, at_least: Object.fromEntries(atLeast) };
}

/**
 * Call a method by the name that the cases have for it.
 *
 * @param {Recommender} recommender
 * @param {string} call
 * @param {Record<string, any>} values arguments by name.
 */
export function replay(recommender, call, values) {
  return CALLS[call](recommender, values);
}
