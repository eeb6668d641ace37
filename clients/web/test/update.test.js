/** Updates: what is refused, what is replaced, and calls that go on meanwhile. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { Recommender } from "jaxrec/node";
import { startRuntime } from "../src/litert.js";
import { loadProven } from "../src/update.js";
import { assertRefused } from "./assert_refused.js";
import { makeKeys, makeRelease, readParts } from "./releases.js";

/** @import { LoadedModel } from "../src/loaded_model.js" */
/** @import { Parts } from "./releases.js" */

const KEYS = makeKeys();
const { publicKey } = KEYS;
const SWAPS = 20;

/** @type {Parts} */
let plain;
/** @type {Parts} */
let other;

before(async () => {
  [plain, other] = await Promise.all([readParts("plain"), readParts("keep_seen")]);
});

test("a newer signed model replaces the current one", async () => {
  const recommender = await Recommender.load(await makeRelease(plain, {}, KEYS), { publicKey });
  await recommender.similar("A01", 3);
  await recommender.update(await makeRelease(other, { sequence: 2 }, KEYS));
  assert.equal(recommender.model.sequence, 2);
  assert.deepEqual([recommender.knows("A01"), recommender.knows("R1")], [false, true]);
  assert.equal(recommender.items.length, other.model.vocabulary.size);
  assert.equal(recommender.describe("R1")?.item, "R1");
  assert.equal((await recommender.similar("R1", 3)).length, 3);
  await assert.rejects(recommender.recommend(["A01"], 3), { name: "RangeError" });
  recommender.close();
});

test("an update has the key of load, or its own", async () => {
  const recommender = await Recommender.load(await makeRelease(plain, {}, KEYS), { publicKey });
  const foreign = makeKeys();
  const release = await makeRelease(other, { sequence: 2 }, foreign);
  await assertRefused(recommender, [release], /^The model is not signed with this key: /);
  const unsigned = await makeRelease(other, { sequence: 2 });
  await assertRefused(recommender, [unsigned], /^The model is not signed; sign it with /);
  await recommender.update(release, { publicKey: foreign.publicKey });
  assert.equal(recommender.model.sequence, 2);
  recommender.close();
});

test("older models are refused unless rollback is true", async () => {
  const times = { sequence: 5, created: "2026-12-05T00:00:00Z" };
  const recommender = await Recommender.load(await makeRelease(plain, times));
  await assertRefused(
    recommender,
    [await makeRelease(other, { ...times, sequence: 4 })],
    /: sequence 4, created 2026-12-05T00:00:00Z, not sequence 5, created .*; give rollback: true to /,
  );
  const earlier = { ...times, created: "2026-12-04T23:59:59Z" };
  await assertRefused(recommender, [await makeRelease(other, earlier)], /is older/);
  await recommender.update(await makeRelease(other, times)); // another file of the same order
  assert.equal(recommender.knows("R1"), true);
  await recommender.update(await makeRelease(plain, { sequence: 1 }), { rollback: true });
  assert.equal(recommender.model.sequence, 1);
  recommender.close();
});

test("the same file leaves the model as it is", async () => {
  const release = await makeRelease(plain);
  const recommender = await Recommender.load(release);
  const { items } = recommender;
  assert.equal(await recommender.update(release), false);
  assert.equal(recommender.items, items);
  recommender.close();
});

test("models that do not answer are refused, and their memory is freed", async () => {
  const recommender = await Recommender.load(await makeRelease(plain));
  const { wasm } = await startRuntime(() => assert.fail("it has started"));
  /** @param {Uint8Array<ArrayBuffer>} graph */
  const refuse = async (graph) =>
    assertRefused(
      recommender,
      [await makeRelease({ ...plain, graph }, { sequence: 2 })],
      /^The model does not answer \(.*\); export its run again\.$/,
    );
  const { graph: foreign } = await readParts("features");
  await refuse(foreign);
  const large = new Uint8Array(4 << 20);
  await refuse(large);
  const before = wasm.HEAPU8.length;
  for (let count = 0; count < SWAPS; count += 1) await refuse(large);
  assert.equal(wasm.HEAPU8.length, before);
  recommender.close();
});

test("a model answers with a list of finite scores, or is closed", async () => {
  const model = { history_length: 2, top_k: 3 };
  /** @param {number[]} scores */
  const withScores = (scores) => {
    let isClosed = false;
    const recommend = () => scores.map((score) => ({ score }));
    const close = () => {
      isClosed = true;
    };
    const stub = { model, items: ["a", "b", "c"], recommend, close };
    const load = async () => /** @type {LoadedModel} */ (/** @type {unknown} */ (stub));
    return { load, isClosed: () => isClosed };
  };
  const intact = withScores([2, 1]);
  await loadProven(intact.load);
  assert.equal(intact.isClosed(), false);
  const mistakes = /** @type {[number[], RegExp][]} */ ([
    [[], /\(no item is recommended after an empty history\)/],
    [[1, Number.NaN], /\(a score after an empty history is not finite\)/],
    [[Number.POSITIVE_INFINITY], /is not finite\)/],
  ]);
  for (const [scores, message] of mistakes) {
    const { load, isClosed } = withScores(scores);
    await assert.rejects(loadProven(load), { name: "BundleError", message });
    assert.equal(isClosed(), true);
  }
});

test("the file that was loaded is replaced as a whole, or left", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "jaxrec-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "model.tflite");
  const [first, second] = [await makeRelease(plain), await makeRelease(other, { sequence: 2 })];
  writeFileSync(path, first);
  writeFileSync(join(folder, "download"), second);
  const recommender = await Recommender.load(path);
  await assertRefused(recommender, [second.slice(0, -9)], /truncated/);
  assert.deepEqual(new Uint8Array(readFileSync(path)), first);
  await recommender.update(join(folder, "download"));
  assert.deepEqual(new Uint8Array(readFileSync(path)), second);
  assert.deepEqual(readdirSync(folder).sort(), ["download", "model.tflite"]);
  recommender.close();
});

test("a file that cannot be replaced keeps the current model", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "jaxrec-"));
  writeFileSync(join(folder, "model.tflite"), await makeRelease(plain));
  const recommender = await Recommender.load(join(folder, "model.tflite"));
  rmSync(folder, { recursive: true });
  context.after(() => recommender.close());
  await assert.rejects(recommender.update(await makeRelease(other)), { code: "ENOENT" });
  assert.equal(recommender.knows("A01"), true);
});

test("updates take turns, so an older one is refused though both began at once", async () => {
  const recommender = await Recommender.load(await makeRelease(plain));
  const [third, second] = await Promise.all(
    [3, 2].map((sequence) => makeRelease(other, { sequence })),
  );
  const [newer, older] = await Promise.allSettled([
    recommender.update(third),
    recommender.update(second),
  ]);
  assert.deepEqual([newer.status, older.status], ["fulfilled", "rejected"]);
  assert.equal(recommender.model.sequence, 3);
  recommender.close();
});

test("a recommender that is closed during an update is not updated", async () => {
  const recommender = await Recommender.load(await makeRelease(plain));
  const update = recommender.update(await makeRelease(other));
  recommender.close();
  await assert.rejects(update, { name: "LoadError", message: "the recommender is closed" });
});

test("an option that does not exist is an error", async () => {
  const recommender = await Recommender.load(await makeRelease(plain));
  const options = /** @type {object} */ ({ key: publicKey });
  await assert.rejects(recommender.update(await makeRelease(other), options), {
    message: 'there is no option "key"; the options are publicKey, rollback',
  });
  recommender.close();
});

test("each answer during 20 swaps is that of one of the two models", async () => {
  const releases = [await makeRelease(plain, {}, KEYS), await makeRelease(other, {}, KEYS)];
  const histories = [plain, other].map(({ members }) =>
    JSON.parse(new TextDecoder().decode(members.get("vocabulary.json"))).values.slice(0, 3),
  );
  const history = histories.flat();
  /** @param {Recommender} each */
  const answers = async (each) =>
    JSON.stringify([
      await each.recommend(history, 5),
      await each.recommendMany([history, []], 5),
      await each.score(history, history),
      Array.from(await each.encode(history)),
    ]);
  /** @param {Recommender} each */
  const similar = (each) => Promise.any(["A01", "R1"].map((item) => each.similar(item, 3)));
  const expected = new Map();
  for (const release of releases) {
    const each = await Recommender.load(release, { publicKey });
    for (const part of JSON.parse(await answers(each))) expected.set(JSON.stringify(part), 0);
    expected.set(JSON.stringify(await similar(each)), 0);
    each.close();
  }
  const recommender = await Recommender.load(releases[0], { publicKey });
  let isDone = false;
  const users = Array.from({ length: 16 }, async () => {
    while (!isDone) {
      for (const part of [...JSON.parse(await answers(recommender)), await similar(recommender)]) {
        const text = JSON.stringify(part);
        assert.ok(expected.has(text), text);
        expected.set(text, expected.get(text) + 1);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  for (let swap = 1; swap <= SWAPS; swap += 1) await recommender.update(releases[swap % 2]);
  isDone = true;
  await Promise.all(users);
  for (const [text, count] of expected) assert.ok(count > 0, text);
  recommender.close();
});

test("20 updates need no more memory than two", async () => {
  // LiteRT ignores the bytes after the flatbuffer, which would fill the memory if they were not freed.
  const graph = new Uint8Array(4 << 20);
  graph.set(plain.graph);
  const releases = [await makeRelease({ ...plain, graph }), await makeRelease(plain)];
  const recommender = await Recommender.load(releases[0]);
  const { wasm } = await startRuntime(() => assert.fail("it has started"));
  let memory = 0;
  for (let swap = 1; swap <= SWAPS; swap += 1) {
    assert.equal(await recommender.update(releases[swap % 2]), true);
    if (swap === 2) memory = wasm.HEAPU8.length;
  }
  assert.equal(wasm.HEAPU8.length, memory);
  recommender.close();
});
