/** Recommended items with their catalogue entries, and predicted ratings. */

/** @import { Catalogue } from "./catalogue.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { ScoredId } from "./top_k.js" */

/**
 * @typedef {object} Recommendation
 * @property {RawItem} item
 * @property {number} score higher is better; comparable within one list only.
 * @property {string | null} title null if missing from the catalogue; likewise genres and year.
 * @property {string[] | null} genres
 * @property {number | null} year
 */

/**
 * @typedef {object} Rating predicted rating of an item by a user.
 * @property {RawItem} item
 * @property {number} expected mean of the predicted distribution of ratings.
 * @property {Map<number, number>} atLeast for each rating of the log, in ascending order, the
 *     probability of that rating or a higher one.
 */

/** @typedef {Record<string, Float32Array>} Prediction outputs of a head for one candidate. */

/**
 * Convert ids and scores to raw items with their catalogue entries.
 *
 * @param {ScoredId[]} list
 * @param {Catalogue} catalogue
 * @returns {Recommendation[]}
 */
export function toRecommendations(list, catalogue) {
  return list.map(({ id, score }) => {
    const { item, title, genres, year } = catalogue.at(id - 1);
    return { item, score, title, genres, year };
  });
}

/**
 * Convert a prediction of the rating head.
 *
 * @param {RawItem} item
 * @param {Prediction} prediction
 * @param {number[]} ratings rating values of the log, in ascending order.
 * @returns {Rating}
 */
export function toRating(item, prediction, [lowest, ...others]) {
  // The graph omits the lowest rating: the probability of at least that rating is always 1.
  const atLeast = new Map([[lowest, 1]]);
  for (const [index, rating] of others.entries()) atLeast.set(rating, prediction.at_least[index]);
  return { item, expected: prediction.ratings[0], atLeast };
}
