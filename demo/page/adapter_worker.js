/**
 * Worker that learns a user's adapter off the main thread, so that the page stays responsive.
 *
 * A classic worker: LiteRT.js loads its script in a way that module workers do not support.
 */

/** @import { Adapter, RawItem } from "jaxrec" */
/** @import { ListedModel } from "./models.js" */

/**
 * @typedef {object} Task
 * @property {ListedModel} model
 * @property {RawItem[]} items history.
 */

/** @typedef {{adapter: Adapter} | {error: string}} Outcome */

// In a worker, LiteRT.js by default resolves its files against the URL of the worker's script.
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
