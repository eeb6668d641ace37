/** Adapters: the inputs for learning one, and the checks before one is used. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  adapterInput,
  adaptInputs,
  isKept,
  minKnownItems,
  requireAdaptSettings,
  toAdapter,
} from "../src/user_adapter.js";

/** @import { Model } from "../src/bundle.js" */

const SETTINGS = { activities: 4, held_out: 1, half_life: 1 };
const ADAPTER = { format: 1, model: "abc", vector: [0.5, 0], before: 2, after: 1 };

test("by default a weight halves with each half-life", () => {
  assert.deepEqual(adaptInputs([7, 0, 8, 9], undefined, SETTINGS), {
    activities: Int32Array.of(0, 7, 8, 9),
    weights: Float32Array.of(0, 0.25, 0.5, 1),
  });
});

test("the last known items and their weights are read", () => {
  assert.deepEqual(adaptInputs([1, 2, 3, 0, 4, 5], [6, 5, 4, 3, 2, 1], SETTINGS), {
    activities: Int32Array.of(2, 3, 4, 5),
    weights: Float32Array.of(5, 4, 2, 1),
  });
});

test("too few items and wrong weights are errors", () => {
  assert.equal(minKnownItems(SETTINGS), 3);
  const mistakes = /** @type {[number[], number[] | undefined, RegExp][]} */ ([
    [[1, 2, 0], undefined, /^items has 2 known items, and an adapter needs 3 or more; /],
    [[1, 2, 3], [1], /^weights has 1 entries for 3 items; give one each$/],
    [[1, 2, 3], [1, -1, 1], /^weights has values that are negative or not finite; /],
  ]);
  for (const [ids, weights, message] of mistakes) {
    assert.throws(() => adaptInputs(ids, weights, SETTINGS), { name: "RangeError", message });
  }
  assert.throws(() => requireAdaptSettings(/** @type {Model} */ ({})), {
    name: "BundleError",
    message: "The file has no signature `adapt`; export its run with --adapt.",
  });
});

test("an adapter belongs to one model", () => {
  assert.deepEqual(adapterInput(ADAPTER, "abc", 2), { adapter: Float32Array.of(0.5, 0) });
  const mistakes = /** @type {[object, RegExp][]} */ ([
    [{ model: "x" }, /^the adapter belongs to the model x, this is abc; learn it again from /],
    [{ vector: [1] }, /^the adapter has the shape \[1\], the model takes \[2\]; learn it again /],
    [{ vector: [1, null] }, /^the adapter has values that are not finite; learn it again from /],
    [{ format: 2 }, /^the adapter has format 2, this version reads 1; learn it again from the /],
    [{ vector: "x" }, /^this is not an adapter; learn it again from the history$/],
  ]);
  for (const [changes, message] of mistakes) {
    const adapter = { ...ADAPTER, ...changes };
    assert.throws(() => adapterInput(adapter, "abc", 2), { name: "RangeError", message });
  }
});

test("an adapter survives JSON, and NaN becomes null", () => {
  const nan = Float32Array.of(Number.NaN);
  const outputs = { adapter: Float32Array.of(0, 0), before: nan, after: nan };
  const adapter = toAdapter("abc", outputs);
  assert.deepEqual(JSON.parse(JSON.stringify(adapter)), {
    ...{ format: 1, model: "abc", vector: [0, 0], before: null, after: null },
  });
  assert.equal(isKept(adapter), false);
  assert.equal(isKept(ADAPTER), true);
});
