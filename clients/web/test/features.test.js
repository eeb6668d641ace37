/** Encoding of raw feature values. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FeatureEncoder } from "../src/features.js";

/** @import { InputFeature } from "../src/features.js" */

/** @type {InputFeature[]} */
const FEATURES = [
  { name: "device", of: "activity", kind: "id", values: ["web", "phone"] },
  { name: "price", of: "activity", kind: "number", values: [0, 8] },
  { name: "age", of: "activity", kind: "age", values: [] },
  { name: "country", of: "user", kind: "id", values: ["fr", 33] },
];
const encoder = new FeatureEncoder(FEATURES);
const NAN = Number.NaN;

test("values are encoded by the kind of their feature", () => {
  const features = {
    device: ["phone", "tv", null],
    price: [2.5, null, 1e39],
    age: [59.9, -0.5, 2 ** 40],
    country: 33,
  };
  assert.deepEqual(encoder.encode(features, 3, "items"), {
    device: [2, 0, 0],
    price: [2.5, NAN, NAN],
    age: [59, -1, 2 ** 31 - 1],
    country: 2,
  });
});

test("missing features are unknown", () => {
  const unknown = { device: [0, 0], price: [NAN, NAN], age: [-1, -1], country: 0 };
  assert.deepEqual(encoder.encode({}, 2, "items"), unknown);
  for (const [name, value] of Object.entries({ device: 0, price: NAN, age: -1, history: 0 })) {
    assert.deepEqual(encoder.unknownInput(name), value);
  }
});

test("an error names the feature and the remedy, as in Python", () => {
  const mistakes = {
    'the model has no feature "color"; it has device, price, age, country': { color: "red" },
    '1 values of "device" for 2 items; give one for each': { device: ["web"] },
    'the value "cheap" (string) of "price" is not a number; give a number, or null if it is unknown':
      { price: [1, "cheap"] },
    '"country", a feature of the user, is fr (object); give one value': { country: ["fr"] },
  };
  for (const [message, features] of Object.entries(mistakes)) {
    assert.throws(() => encoder.encode(features, 2, "items"), { message });
  }
});
