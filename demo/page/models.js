/** Listing, loading and timing of the models that are served with the page. */

import { BundleError, Recommender, sha256, WorkerRecommender } from "jaxrec";

/** @import { Features, RawItem } from "jaxrec" */

/** Folder of LiteRT's files. */
const RUNTIME = new URL("./runtime/", import.meta.url);

/** Duration and number of timed batches: browsers round the clock to 0.1 ms. */
const BATCH_MS = 4;
const BATCHES = 9;

/** k of a timed call, if the catalogue has as many items. */
const TIMED_K = 10;

/** Warm-up before a model's first timing: browsers recompile and optimize hot code. */
const WARM_UP_SLICES = 25;
const WARM_UP_SLICE_MS = 16;

/** @type {Record<string, string>} */
const ENCODER_NAMES = {
  bow: "Bag of words",
  cnn: "Convolution",
  rnn: "LSTM",
  transformer: "Transformer",
};

/**
 * @typedef {object} ListedModel an entry of models.json.
 * @property {string} path
 * @property {string} sha256
 * @property {number} bytes
 * @property {string} run
 * @property {string} encoder
 * @property {string} recipe
 */

/** @typedef {ListedModel & {name: string}} NamedModel `name` is the shortest unique label. */

/**
 * Load the list of models; the first one is shown first.
 *
 * @returns {Promise<NamedModel[]>}
 */
export async function listModels() {
  /** @type {ListedModel[]} */
  const models = await (await fetchOrThrow("models.json")).json();
  /** @type {((model: ListedModel) => string)[]} */
  const labels = [
    ({ encoder }) => ENCODER_NAMES[encoder] ?? encoder,
    ({ run }) => run,
    ({ run, recipe }) => `${run}, ${recipe}`,
  ];
  const label =
    labels.find((each) => new Set(models.map(each)).size === models.length) ??
    labels[labels.length - 1];
  return models.map((model) => ({ ...model, name: label(model) }));
}

/**
 * Load a model of `listModels` and check its hash.
 *
 * @param {ListedModel} model
 * @returns {Promise<Recommender>}
 * @throws {BundleError} its hash differs from that in models.json.
 */
export async function loadModel(model) {
  return Recommender.load(await fetchModel(model), { runtime: RUNTIME });
}

/**
 * Load a model of `listModels`, as `loadModel` does, in a worker.
 *
 * @param {ListedModel} model
 * @returns {Promise<WorkerRecommender>}
 * @throws {Error} as in `loadModel`, or the worker cannot be loaded.
 */
export async function loadModelInWorker(model) {
  const bytes = await fetchModel(model);
  const worker = new Worker(new URL("./adapter_worker.js", import.meta.url), { type: "module" });
  return WorkerRecommender.load(worker, bytes, { runtime: RUNTIME });
}

/**
 * Fetch a model and check its hash.
 *
 * @param {ListedModel} model
 */
async function fetchModel(model) {
  const bytes = new Uint8Array(await (await fetchOrThrow(model.path)).arrayBuffer());
  // crypto.subtle needs a secure context; without it `Recommender.load` throws UnsupportedError.
  if (globalThis.crypto?.subtle && (await sha256(bytes)) !== model.sha256) {
    throw new BundleError(
      `The model ${model.run} is damaged: its hash differs from that in models.json. Build the ` +
        "page again with demo/serve.py.",
    );
  }
  return bytes;
}

/**
 * Models that are warmed up.
 *
 * @type {WeakSet<Recommender>}
 */
const warmedUp = new WeakSet();

/**
 * Measure the median time of a call of `recommend`, in microseconds.
 *
 * @param {Recommender} recommender
 * @param {RawItem[]} items history.
 * @param {Features} features
 */
export async function measureLatency(recommender, items, features) {
  for (let slice = 0; slice < WARM_UP_SLICES && !warmedUp.has(recommender); slice += 1) {
    await meanTime(recommender, items, features, WARM_UP_SLICE_MS);
    await new Promise((resolve) => setTimeout(resolve)); // let the page handle input events
  }
  warmedUp.add(recommender);
  const times = [];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    times.push(await meanTime(recommender, items, features, BATCH_MS));
  }
  return 1000 * times.sort((a, b) => a - b)[(BATCHES - 1) / 2];
}

/**
 * Measure the mean time of a call, over at least `duration`, both in milliseconds.
 *
 * @param {Recommender} recommender
 * @param {RawItem[]} items
 * @param {Features} features
 * @param {number} duration
 */
async function meanTime(recommender, items, features, duration) {
  const k = Math.min(TIMED_K, recommender.items.length);
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
async function fetchOrThrow(path) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Error(`${path} cannot be loaded: the server does not answer. Reload to try again.`);
  }
  if (!response.ok) {
    throw new Error(
      `${path} is missing on the server (${response.status}). Reload, or build the page again ` +
        "with demo/serve.py.",
    );
  }
  return response;
}
