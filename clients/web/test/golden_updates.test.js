/** The golden updates, which the Python and the Kotlin runtime replay too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Recommender } from "jaxrec/node";
import { assertRefused } from "./assert_refused.js";

const GOLDEN = new URL("../../golden/", import.meta.url);
const SIGNED_FILE = new Uint8Array(readFileSync(new URL("signed.tflite", GOLDEN)));
const SIGNED = JSON.parse(readFileSync(new URL("signed.json", GOLDEN), "utf8"));

/**
 * Return the signed file after the edits of a golden update.
 *
 * @param {{at: number, delete: number, insert: string}[]} edits
 */
function applyEdits(edits) {
  const parts = [];
  let end = 0;
  for (const { at, delete: deleted, insert } of edits) {
    parts.push(SIGNED_FILE.subarray(end, at), Buffer.from(insert, "hex"));
    end = at + deleted;
  }
  return new Uint8Array(Buffer.concat([...parts, SIGNED_FILE.subarray(end)]));
}

/** Messages of the outcomes that are refusals. */
const REFUSALS = new Map([
  ["older", /^The model is older than the model in use: /],
  ["damaged", /^The model is damaged \(|^This is not a jaxrec model, or is truncated; /],
  [
    "unsigned",
    /^The model is not signed; |^The model is of an older version, whose files cannot be /,
  ],
  ["foreign", /^The model is not signed with this key: /],
  ["unusable", /^The model does not answer \(/],
]);

for (const { name, edits, rollback, outcome, sequence } of SIGNED.updates) {
  test(`${name}: ${outcome}`, async () => {
    const recommender = await Recommender.load(SIGNED_FILE, { publicKey: SIGNED.public_key });
    const release = applyEdits(edits);
    const message = REFUSALS.get(outcome);
    const { items } = recommender;
    if (message) await assertRefused(recommender, [release, { rollback }], message);
    else assert.equal(await recommender.update(release, { rollback }), outcome === "replaced");
    assert.equal(recommender.items === items, outcome !== "replaced");
    assert.equal(recommender.model.sequence, sequence);
    assert.equal((await recommender.recommend([], 5)).length, 5);
    recommender.close();
  });
}
