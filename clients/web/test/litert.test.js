/** LiteRT: the parts that are no public interface, and a start that failed. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Recommender } from "jaxrec/node";
import { readBundle } from "../src/bundle.js";
import { startRuntime } from "../src/litert.js";
import { Recommender as BrowserRecommender } from "../src/recommender.js";
import { runtimeBuild } from "../src/runtime_files.js";

const FILE = new URL("../../golden/plain.tflite", import.meta.url);
const require = createRequire(import.meta.url);

/**
 * Check that an object has methods.
 *
 * @param {object} object
 * @param {string[]} names
 */
function assertMethods(object, names) {
  for (const name of names) assert.equal(typeof Reflect.get(object, name), "function", name);
}

test("the installed LiteRT.js has all parts that this package uses", async () => {
  const recommender = await Recommender.load(FILE);
  const { wasm, environment } = await startRuntime(() => assert.fail("it has started"));
  assertMethods(wasm, ["loadModel", "compileModel", "getThreadCount", "_malloc", "_free"]);
  assertMethods(wasm.LiteRtEnvironment, ["create"]);
  assertMethods(wasm.LiteRtTensorBuffer, ["createManaged"]);
  assert.ok(wasm.HEAPU8 instanceof Uint8Array);
  const { READ, WRITE } = wasm.LiteRtTensorBufferLockMode;
  assert.ok(READ && WRITE && wasm.LiteRtTensorBufferType.HOST_MEMORY);

  const { graph } = await readBundle(new Uint8Array(readFileSync(FILE)));
  const address = wasm._malloc(graph.length);
  wasm.HEAPU8.set(graph, address);
  const model = wasm.loadModel(environment, address, graph.length);
  const ports = ["getInputTensorType", "getOutputTensorType"];
  assertMethods(model, ["getNumSignatures", "getSignature", ...ports, "delete"]);
  const signature = model.getSignature(0);
  assertMethods(signature, ["key", "inputNames", "outputNames", "delete"]);
  const type = model.getInputTensorType(0, 0);
  assertMethods(type, ["bytes", "elementType", "delete"]);
  for (const each of [type, signature, model]) each.delete();
  wasm._free(address);
  recommender.close();
});

test("the peer dependency is the version that the parts were checked with", () => {
  const { peerDependencies, devDependencies } = require("../package.json");
  const installed = require("@litertjs/core/package.json").version;
  assert.equal(peerDependencies["@litertjs/core"], installed);
  assert.equal(devDependencies["@litertjs/core"], installed);
});

test("a start after a failed one succeeds, and later calls share it", async () => {
  // A copy of the module that has not started.
  const copy = "../src/litert.js?copy";
  const { startRuntime: startCopy } = /** @type {typeof import("../src/litert.js")} */ (
    await import(copy)
  );
  await assert.rejects(
    startCopy(() => Promise.reject(new Error("no network"))),
    /no network/,
  );
  const wasm = { LiteRtEnvironment: { create: () => "environment" } };
  const build = { factory: async () => wasm, module: undefined };
  const openBuild = async () => /** @type {any} */ (build);
  const runtime = await startCopy(openBuild);
  assert.deepEqual(runtime, { wasm, environment: "environment" });
  assert.equal(await startCopy(() => assert.fail("it has started")), runtime);
});

test("concurrent loads share one start, and 2,000 calls need no more memory", async () => {
  const [recommender, other] = await Promise.all([Recommender.load(FILE), Recommender.load(FILE)]);
  const history = recommender.items.slice(0, 3);
  const expected = await recommender.recommend(history, 5);
  assert.deepEqual(await other.recommend(history, 5), expected);
  const { wasm } = await startRuntime(() => assert.fail("it has started"));
  const before = wasm.HEAPU8.length;
  for (let call = 0; call < 2000; call += 1) await recommender.recommend(history, 5);
  assert.equal(wasm.HEAPU8.length, before);
  other.close();
  assert.deepEqual(await recommender.recommend(history, 5), expected);
  recommender.close();
});

test("the entry for browsers names that for Node.js", async () => {
  await assert.rejects(BrowserRecommender.load("model.tflite"), {
    name: "UnsupportedError",
    message: "In Node.js, import the recommender from `jaxrec/node`.",
  });
  assert.match(runtimeBuild(), /^litert_wasm_(compat_)?internal$/);
});

test("a file is loaded by its path, its URL or its content", async () => {
  const bytes = new Uint8Array(readFileSync(FILE));
  for (const source of [fileURLToPath(FILE), FILE, bytes, bytes.buffer]) {
    const recommender = await Recommender.load(source);
    assert.equal(recommender.knows("A01"), true);
    recommender.close();
  }
});

test("a missing file is an error of the file system", async () => {
  await assert.rejects(Recommender.load("no.tflite"), { code: "ENOENT" });
});
