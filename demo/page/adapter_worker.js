/**
 * Learns of a person beside the page, which stays free for what they do meanwhile.
 *
 * No module: the runtime loads its own script in a way that modules refuse.
 */

/**
 * @typedef {object} Task
 * @property {import("./models.js").Listed} model
 * @property {import("./bundle.js").Item[]} items the history.
 */

/** @typedef {{adapter: import("./adapter.js").Adapter} | {error: string}} Outcome */

// In a worker the runtime looks for its files beside the worker's script.
Object.assign(globalThis, {
  Module: {
    locateFile: (/** @type {string} */ name) => new URL(`runtime/${name}`, location.href).href,
  },
});

addEventListener("message", async ({ data }) => {
  const { model, items } = /** @type {Task} */ (data);
  /** @type {Outcome} */
  let outcome;
  try {
    const { loadModel } = await import("./models.js");
    const recommender = await loadModel(model);
    outcome = { adapter: await recommender.adapt(items) };
  } catch (error) {
    outcome = { error: /** @type {Error} */ (error).message };
  }
  postMessage(outcome);
});
