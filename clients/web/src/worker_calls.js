/** Calls to a worker by messages, and its answers as promises. */

import { BundleError } from "./bundle_error.js";
import { LoadError } from "./fetch_file.js";
import { UnsupportedError } from "./runtime_files.js";

/** @import { Answer, Call } from "./worker.js" */

/**
 * Classes of errors by their names: a message carries no class.
 *
 * @type {Record<string, new (message: string) => Error>}
 */
const ERRORS = { BundleError, LoadError, RangeError, TypeError, UnsupportedError };

const CLOSED = "the recommender is closed";

/** The calls to one worker. */
export class WorkerCalls {
  #worker;
  #isClosed = false;
  #count = 0;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #pending = new Map();

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#settle(data));
    worker.addEventListener("error", ({ message }) => {
      this.#rejectAll(`the worker failed (${message || "its script cannot be loaded"})`);
    });
  }

  /**
   * Call a method in the worker.
   *
   * @param {Call["method"]} method
   * @param {unknown[]} values arguments.
   * @returns {Promise<any>} result of the method.
   * @throws {Error} the method failed, the worker failed, or the worker is terminated.
   */
  async call(method, values) {
    if (this.#isClosed) throw new LoadError(CLOSED);
    this.#count += 1;
    const id = this.#count;
    this.#worker.postMessage({ id, method, values });
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  /** Terminate the worker. */
  close() {
    this.#isClosed = true;
    this.#worker.terminate();
    this.#rejectAll(CLOSED);
  }

  /** @param {Answer} answer */
  #settle(answer) {
    const promise = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ("error" in answer) {
      const { name, message } = answer.error;
      promise?.reject(new (ERRORS[name] ?? Error)(message));
    } else {
      promise?.resolve(answer.result);
    }
  }

  /** @param {string} message */
  #rejectAll(message) {
    for (const { reject } of this.#pending.values()) reject(new LoadError(message));
    this.#pending.clear();
  }
}
