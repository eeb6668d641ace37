/** Check of updates that are refused. */

import assert from "node:assert/strict";

/** @import { Recommender } from "jaxrec/node" */

/**
 * Check that an update is refused, and that the current model still answers.
 *
 * @param {Recommender} recommender
 * @param {Parameters<Recommender["update"]>} values
 * @param {RegExp} message
 */
export async function assertRefused(recommender, values, message) {
  const { model } = recommender;
  const list = await recommender.recommend([], 5);
  await assert.rejects(recommender.update(...values), { name: "BundleError", message });
  assert.equal(recommender.model, model);
  assert.deepEqual(await recommender.recommend([], 5), list);
}
