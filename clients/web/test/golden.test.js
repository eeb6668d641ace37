/** The golden cases, which the Python and the Kotlin runtime replay too. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Recommender } from "jaxrec/node";
import { replay } from "./replay.js";

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} call
 * @property {Record<string, any>} arguments
 * @property {unknown} [result]
 * @property {boolean} [error]
 */

/** @typedef {{item: string | number, score: number}} Scored */

const GOLDEN = new URL("../../golden/", import.meta.url);
const ADAPT_TOLERANCE = 1e-3;

/**
 * Compare values: numbers within the tolerance, of objects the expected fields only.
 *
 * @param {any} found
 * @param {any} expected
 * @param {number} tolerance
 */
function assertClose(found, expected, tolerance) {
  if (typeof expected === "number") {
    const difference = Math.abs(found - expected);
    // Relative for the score of unknown candidates, -1e9.
    assert.ok(difference <= tolerance * Math.max(1, Math.abs(expected)), `${found}, ${expected}`);
  } else if (isRanked(expected)) {
    assertSameRanking(found, expected, tolerance);
  } else if (Array.isArray(expected)) {
    assert.equal(found.length, expected.length);
    for (const [index, each] of expected.entries()) assertClose(found[index], each, tolerance);
  } else if (expected !== null && typeof expected === "object") {
    for (const [name, each] of Object.entries(expected)) assertClose(found[name], each, tolerance);
  } else {
    assert.equal(found, expected);
  }
}

/** @param {any} value */
function isRanked(value) {
  return Array.isArray(value) && value.length > 0 && value[0]?.score !== undefined;
}

/**
 * Compare ranked lists; neighbours whose scores differ by less than the tolerance may swap.
 *
 * @param {Scored[]} found
 * @param {Scored[]} expected
 * @param {number} tolerance
 */
function assertSameRanking(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  for (const [rank, { item, score }] of found.entries()) {
    assertClose(score, expected[rank].score, tolerance);
    const places = expected.slice(Math.max(0, rank - 1), rank + 2);
    const place = places.find((each) => each.item === item);
    assert.ok(place && Math.abs(place.score - score) <= tolerance, `${item} at rank ${rank}`);
  }
}

for (const name of readdirSync(GOLDEN).filter((each) => each.endsWith(".json"))) {
  const { model, tolerance, cases } = JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8"));
  describe(model, () => {
    /** @type {Recommender} */
    let recommender;
    before(async () => {
      recommender = await Recommender.load(new URL(model, GOLDEN));
    });
    after(() => recommender.close());
    for (const each of /** @type {Case[]} */ (cases)) {
      test(`${each.call}: ${each.name}`, async () => {
        const call = async () => replay(recommender, each.call, each.arguments);
        if (each.error) await assert.rejects(call, /^(Range|Type|Bundle)Error: /);
        else
          assertClose(
            await call(),
            each.result,
            each.call === "adapt" ? ADAPT_TOLERANCE : tolerance,
          );
      });
    }
  });
}
