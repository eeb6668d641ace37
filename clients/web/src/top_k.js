/** Top-k: the highest-scored items after a history, without those that are excluded. */

/** @import { DeviceModel, Inputs } from "./interpreter.js" */

/** @typedef {{id: number, score: number}} ScoredId */

/**
 * Check that k is in range.
 *
 * @param {number} k
 * @param {number} catalogueSize number of items, V.
 * @throws {RangeError}
 */
export function requireK(k, catalogueSize) {
  if (Number.isInteger(k) && k >= 1 && k <= catalogueSize) return;
  throw new RangeError(`k=${k} is out of range; give 1 to ${catalogueSize.toLocaleString("en")}`);
}

/**
 * Return the top k items of a history; among equal scores, lower ids come first.
 *
 * The graph's own list is used if at least k of its items are not excluded. Otherwise every item is
 * scored.
 *
 * @param {DeviceModel} device
 * @param {Inputs} inputs
 * @param {Set<number>} excluded
 * @param {number} k
 * @param {number} catalogueSize number of items, V.
 * @returns {ScoredId[]} fewer than k if fewer items are left.
 */
export function rankAll(device, inputs, excluded, k, catalogueSize) {
  const { ids, scores } = device.recommend(inputs);
  /** @type {ScoredId[]} */
  const allowed = [];
  for (let rank = 0; rank < ids.length && allowed.length < k; rank += 1) {
    const id = ids[rank];
    if (!excluded.has(id)) allowed.push({ id, score: scores[rank] });
  }
  if (allowed.length === k) return allowed;
  const everyId = Array.from({ length: catalogueSize }, (_, index) => index + 1);
  return rankCandidates(device, inputs, everyId, excluded, k);
}

/**
 * Return the top k of some candidates, as `rankAll` does.
 *
 * @param {DeviceModel} device
 * @param {Inputs} inputs
 * @param {number[]} candidates ids in any order, also repeated.
 * @param {Set<number>} excluded
 * @param {number} k
 * @returns {ScoredId[]}
 */
export function rankCandidates(device, inputs, candidates, excluded, k) {
  const allowed = [...new Set(candidates)].filter((id) => !excluded.has(id));
  return topScored(allowed, device.score(inputs, allowed), k);
}

/**
 * Return the k ids with the highest scores, best first; among equal scores, lower ids come first.
 *
 * @param {number[]} ids
 * @param {ArrayLike<number>} scores one per id.
 * @param {number} k
 * @returns {ScoredId[]}
 */
export function topScored(ids, scores, k) {
  const scored = ids.map((id, index) => ({ id, score: scores[index] }));
  return scored.sort((a, b) => b.score - a.score || a.id - b.id).slice(0, k);
}
