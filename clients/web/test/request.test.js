/** Requests: alignment of histories, options of unknown items, and the errors that name them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ItemIndex } from "../src/item_index.js";
import { checkOptions } from "../src/options.js";
import { excludedIds, RequestBuilder } from "../src/request.js";

/** @import { InputFeature } from "../src/features.js" */

/** @type {InputFeature[]} */
const FEATURES = [{ name: "price", of: "activity", kind: "number", values: [] }];
const PORTS = [
  { name: "history", dtype: "int32", length: 3 },
  { name: "price", dtype: "float32", length: 3 },
];
const builder = new RequestBuilder(new ItemIndex(["a", "b", "c", "d"]), FEATURES, PORTS);
const EXAMPLE = 'the model has 4 items, such as "a" (string)';

test("the last known items are aligned to the right", () => {
  const build = (/** @type {string[]} */ items) =>
    builder.inputs(builder.build(items, { features: { price: items.map((_, index) => index) } }));
  assert.deepEqual(build(["a", "x", "b"]), {
    history: Int32Array.of(0, 1, 2),
    price: Float32Array.of(Number.NaN, 0, 2),
  });
  assert.deepEqual(build(["a", "b", "c", "d"]), {
    history: Int32Array.of(2, 3, 4),
    price: Float32Array.of(1, 2, 3),
  });
});

test("the history is excluded unless the model keeps it", () => {
  const request = builder.build(["a", "x"], { exclude: ["c", "y"] });
  assert.deepEqual(excludedIds(request, false), new Set([0, 3, 1]));
  assert.deepEqual(excludedIds(request, true), new Set([0, 3]));
});

test("a history of unknown items is an error, or an empty one", () => {
  assert.throws(() => builder.build(["x", "y"], {}), {
    name: "RangeError",
    message: `all items are unknown, such as "x" (string); ${EXAMPLE}`,
  });
  const { history } = builder.inputs(builder.build(["x"], { unknown: "popular" }));
  assert.deepEqual(history, new Int32Array(3));
  builder.build([], {});
  assert.throws(() => builder.build([], { unknown: /** @type {"error"} */ ("skip") }), {
    name: "RangeError",
    message: 'unknown="skip" is neither "error" nor "popular"; give one of them',
  });
});

test("an error names all unknown histories by their index", () => {
  assert.throws(() => builder.buildMany([["x"], ["a"], [], ["y"]], {}), {
    message: `all items of histories[0], [3] are unknown, such as "x" (string); ${EXAMPLE}`,
  });
  assert.throws(() => builder.buildMany(Array(1007).fill(["x"]), {}), {
    message:
      "all items of histories[0], [1], [2], [3], [4] and 1,002 more are unknown, such as " +
      `"x" (string); ${EXAMPLE}`,
  });
  const requests = builder.buildMany([["x"], ["a"]], { unknown: "popular" });
  assert.deepEqual(
    requests.map(({ ids }) => ids),
    [[0], [1]],
  );
});

test("a string is no list of items", () => {
  assert.throws(() => builder.buildMany([["a"], /** @type {any} */ ("b")], {}), {
    name: "TypeError",
    message: 'the items of histories[1] are "b" (string), not a list; give ["b"]',
  });
});

test("each history has its own options", () => {
  assert.throws(() => builder.buildMany([["a"], ["b"]], { exclude: [[]] }), {
    message: "exclude has 1 entries for 2 histories; give one each",
  });
  const [first, second] = builder.buildMany([["a"], ["b"]], { exclude: [["c"], []] });
  assert.deepEqual([first.exclude, second.exclude], [[3], []]);
});

test("an option that does not exist is an error", () => {
  checkOptions({ exclude: [] }, ["exclude"]);
  assert.throws(() => checkOptions({ exlude: [] }, ["exclude", "features"]), {
    name: "TypeError",
    message: 'there is no option "exlude"; the options are exclude, features',
  });
});
