/** Ranking: ties, excluded items, and the graph's own list. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { rankAll, rankCandidates, requireK, topScored } from "../src/top_k.js";

/** @import { DeviceModel } from "../src/interpreter.js" */

const SCORES = [0, 0.5, 0.9, 0.5, 0.1];

/**
 * Return a device whose own list has two items, and which counts its scored candidates.
 *
 * @param {{scored: number}} count
 */
function deviceOf(count) {
  const device = {
    recommend: () => ({ ids: [2, 1], scores: [0.9, 0.5] }),
    score: (/** @type {unknown} */ _, /** @type {number[]} */ ids) => {
      count.scored += ids.length;
      return ids.map((id) => SCORES[id]);
    },
  };
  return /** @type {DeviceModel} */ (/** @type {unknown} */ (device));
}

test("equal scores are in the order of the ids", () => {
  const ranked = topScored([3, 4, 2, 1], [0.5, 0.1, 0.9, 0.5], 3);
  assert.deepEqual(ranked, [
    { id: 2, score: 0.9 },
    { id: 1, score: 0.5 },
    { id: 3, score: 0.5 },
  ]);
});

test("the graph's own list is used while it has k items that are not excluded", () => {
  const count = { scored: 0 };
  const ids = (/** @type {number} */ k, /** @type {number[]} */ excluded) =>
    rankAll(deviceOf(count), {}, new Set(excluded), k, 4).map(({ id }) => id);
  assert.deepEqual(ids(2, []), [2, 1]);
  assert.deepEqual(ids(1, [2]), [1]);
  assert.equal(count.scored, 0);
  assert.deepEqual(ids(2, [2]), [1, 3]);
  assert.equal(count.scored, 3);
  assert.deepEqual(ids(4, []), [2, 1, 3, 4]);
  assert.deepEqual(ids(4, [1, 2, 3, 4]), []);
});

test("repeated candidates count once", () => {
  const ranked = rankCandidates(deviceOf({ scored: 0 }), {}, [4, 3, 4, 1], new Set([1]), 9);
  assert.deepEqual(ranked, [
    { id: 3, score: 0.5 },
    { id: 4, score: 0.1 },
  ]);
});

test("k is an integer from 1 to the number of items", () => {
  requireK(1, 1200);
  requireK(1200, 1200);
  for (const k of [0, 1.5, -1, 1201, Number.NaN]) {
    assert.throws(() => requireK(k, 1200), {
      name: "RangeError",
      message: `k=${k} is out of range; give 1 to 1,200`,
    });
  }
});
