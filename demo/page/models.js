/** The models that were gathered with the page: listed, loaded, and timed. */

import { BundleError, sha256 } from "./bundle.js";
import { Recommender } from "./recommender.js";

/** How long, and how often, a model is timed: browsers blur the clock to 0.1 ms. */
const BATCH_MS = 4;
const BATCHES = 9;

/** How many items a timed call asks for, where the catalogue has as many. */
const TIMED_ITEMS = 10;

/** How long it runs before that, once: a browser compiles what runs often a second time. */
const WARM_UP_SLICES = 25;
const WARM_UP_SLICE_MS = 16;

/** @type {Record<string, string>} */
const ENCODERS = {
  bow: "Bag of words",
  cnn: "Convolution",
  rnn: "LSTM",
  transformer: "Transformer",
};

/**
 * @typedef {object} Listed a model of the page.
 * @property {string} path
 * @property {string} sha256
 * @property {number} bytes
 * @property {string} run
 * @property {string} encoder
 * @property {string} recipe
 */

/** @typedef {Listed & {name: string}} Named `name` is as short as tells the models apart. */

/**
 * List the models, the one to show first in front.
 *
 * @returns {Promise<Named[]>}
 */
export async function listModels() {
  /** @type {Listed[]} */
  const models = await (await fetched("models.json")).json();
  /** @type {((model: Listed) => string)[]} */
  const names = [
    ({ encoder }) => ENCODERS[encoder] ?? encoder,
    ({ run }) => run,
    ({ run, recipe }) => `${run}, ${recipe}`,
  ];
  const name =
    names.find((each) => new Set(models.map(each)).size === models.length) ??
    names[names.length - 1];
  return models.map((model) => ({ ...model, name: name(model) }));
}

/**
 * Load a model that `listModels` gave.
 *
 * @param {Listed} model
 * @returns {Promise<Recommender>}
 * @throws {BundleError} it is not the file that the page was made with.
 */
export async function loadModel(model) {
  const bytes = new Uint8Array(await (await fetched(model.path)).arrayBuffer());
  // Without a secure context there are no hashes; the recommender says so.
  if (globalThis.crypto?.subtle && (await sha256(bytes)) !== model.sha256) {
    throw new BundleError(
      `The model ${model.run} is damaged: it is not the file that this page was made with. Put ` +
        "the page together again with demo/serve.py.",
    );
  }
  return Recommender.load(bytes);
}

/**
 * The models that have run long enough to be timed.
 *
 * @type {WeakSet<Recommender>}
 */
const warm = new WeakSet();

/**
 * Measure the median time of a recommendation, in microseconds.
 *
 * @param {Recommender} recommender
 * @param {import("./bundle.js").Item[]} items the history.
 * @param {import("./features.js").Features} features
 */
export async function timeOf(recommender, items, features) {
  for (let slice = 0; slice < WARM_UP_SLICES && !warm.has(recommender); slice += 1) {
    await meanTime(recommender, items, features, WARM_UP_SLICE_MS);
    await new Promise((resolve) => setTimeout(resolve)); // what a person does comes first
  }
  warm.add(recommender);
  const times = [];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    times.push(await meanTime(recommender, items, features, BATCH_MS));
  }
  return 1000 * times.sort((a, b) => a - b)[(BATCHES - 1) / 2];
}

/**
 * Recommend for some time; give the mean time of a call. Both in milliseconds.
 *
 * @param {Recommender} recommender
 * @param {import("./bundle.js").Item[]} items
 * @param {import("./features.js").Features} features
 * @param {number} duration
 */
async function meanTime(recommender, items, features, duration) {
  const k = Math.min(TIMED_ITEMS, recommender.items.length);
  const start = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < duration) {
    await recommender.recommend(items, k, { features });
    calls += 1;
    elapsed = performance.now() - start;
  }
  return elapsed / calls;
}

/** @param {string} path */
async function fetched(path) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Error(`${path} cannot be loaded: the server does not answer. Reload to try again.`);
  }
  if (!response.ok) {
    throw new Error(
      `${path} is missing on the server (${response.status}). Reload, or put the page together ` +
        "again with demo/serve.py.",
    );
  }
  return response;
}
