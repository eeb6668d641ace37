/** Files: reading of intact ones, and the errors for others. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readBundle } from "../src/bundle.js";
import { Catalogue, titleOf } from "../src/catalogue.js";
import { sha256 } from "../src/integrity.js";

const FILE = new Uint8Array(readFileSync(new URL("../../golden/plain.tflite", import.meta.url)));

test("an intact file has its graph, items, catalogue and model.json", async () => {
  const { graph, items, catalogue, model } = await readBundle(FILE);
  assert.equal(await sha256(graph), model.graph.sha256);
  assert.equal(items.length, model.vocabulary.size);
  assert.equal(catalogue.length, items.length);
  assert.deepEqual(
    [...catalogue].map(({ item }) => item),
    items,
  );
});

test("a changed byte of the graph is an error", async () => {
  for (const offset of [0, 4, 5000, 12000]) {
    const damaged = FILE.slice();
    damaged[offset] ^= 0xff;
    await assert.rejects(readBundle(damaged), {
      name: "BundleError",
      message:
        "The model is damaged (the hash of its graph differs); copy it again, or export its run again.",
    });
  }
});

test("other files are errors", async () => {
  for (const bytes of [FILE.slice(0, -40), new Uint8Array(9), new Uint8Array(70_000)]) {
    await assert.rejects(readBundle(bytes), {
      name: "BundleError",
      message: "This is not a jaxrec model, or is truncated; export it with `jaxrec export`.",
    });
  }
});

test("a catalogue parses only the blocks that are read", () => {
  const head = { items: 3, block: 2, titled: true, genres: ["Drama", "War"] };
  const block = { title: ["A", null], genres: [[1, 0], null], year: [1999, null] };
  const catalogue = new Catalogue(
    ["x", "y", "z"],
    `${JSON.stringify(head)}\n${JSON.stringify(block)}\n?`,
  );
  assert.equal(catalogue.isComplete, true);
  assert.deepEqual(catalogue.at(0), {
    ...{ id: 1, item: "x", title: "A", genres: ["War", "Drama"], year: 1999 },
  });
  assert.deepEqual(catalogue.at(1), { id: 2, item: "y", title: null, genres: null, year: null });
  assert.throws(() => catalogue.at(2), SyntaxError);
  assert.equal(titleOf(catalogue.at(0)), "A");
  assert.equal(titleOf(catalogue.at(1)), "Item y");
});
