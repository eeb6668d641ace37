/** Cosine similarity, by hand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { rankSimilar, toUnitVectors } from "../src/similarity.js";

// Item 1 is (3, 4), item 2 (0, 2), item 3 (-4, 3), item 4 zero.
const EMBEDDINGS = {
  vectors: Float32Array.of(3, 4, 0, 2, -4, 3, 0, 0),
  biases: new Float32Array(4),
};

test("similar items are ranked by the cosine", () => {
  const ranked = rankSimilar(toUnitVectors(EMBEDDINGS), 1, 3);
  assert.deepEqual(
    ranked.map(({ id }) => id),
    [2, 3, 4],
  );
  for (const [rank, cosine] of [4 / 5, 0, 0].entries()) {
    assert.ok(Math.abs(ranked[rank].score - cosine) < 1e-6);
  }
});
