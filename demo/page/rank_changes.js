/** Comparison of a list with the previous one and with other lists, and the scale of its scores. */

/** @import { RawItem } from "jaxrec" */

/**
 * @typedef {object} RankChanges
 * @property {(number | null)[]} gains for each item of the current list the number of ranks gained:
 *     negative if lost, null if the item is new.
 * @property {RawItem[]} dropped items that are no longer in the list.
 */

/**
 * Compute the change of rank of each item of a list.
 *
 * @param {RawItem[] | null} before previous items, best first; null if there was no list.
 * @param {RawItem[]} after current items, best first.
 * @returns {RankChanges}
 */
export function rankChanges(before, after) {
  if (before === null) return { gains: after.map(() => 0), dropped: [] };
  const gains = after.map((item, rank) => {
    const oldRank = before.indexOf(item);
    return oldRank < 0 ? null : oldRank - rank;
  });
  return { gains, dropped: before.filter((item) => !after.includes(item)) };
}

/**
 * Return the items that are in more than one list.
 *
 * @param {RawItem[][]} lists without duplicates in a list.
 * @returns {Set<RawItem>}
 */
export function itemsInSeveralLists(lists) {
  const items = lists.flat();
  return new Set(items.filter((item, index) => items.indexOf(item) !== index));
}

/**
 * Scale scores linearly, the lowest to 0 and the highest to 1; all to 1 if they are equal.
 *
 * @param {number[]} scores best first.
 * @returns {number[]} 0 to 1.
 */
export function scaleScores(scores) {
  const best = scores[0];
  const range = best - scores[scores.length - 1];
  return scores.map((score) => (range > 0 ? 1 - (best - score) / range : 1));
}
