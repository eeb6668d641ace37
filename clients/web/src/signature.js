/** A signature of a .tflite file, as a function from named arrays to named arrays. */

import { getGlobalLiteRt, Tensor } from "@litertjs/core";

/** @import { SignatureRunner, TensorDetails } from "@litertjs/core" */

/** Names of inputs: the ids of a history, other ids, and the adapter of a user. */
export const HISTORY = "history";
export const CANDIDATES = "candidates";
export const ITEMS = "items";
export const ADAPTER = "adapter";

/** @typedef {Int32Array | Float32Array} Row flat values of a tensor. */

/**
 * @typedef {object} Port an input or output of a signature.
 * @property {string} name
 * @property {string} dtype "int32" or "float32"; files of jaxrec use no other type.
 * @property {number} length number of elements.
 */

/** @typedef {Tensor["liteRtTensorBuffer"]} Buffer memory owned by the runtime. */

/**
 * @typedef {object} CompiledGraph internal model object of LiteRT.js.
 * @property {(signature: number, inputs: Buffer[]) => Buffer[]} run
 */

/**
 * One signature of a compiled model.
 *
 * The runtime's memory is not garbage-collected: input tensors are allocated once and reused,
 * outputs are copied and freed. Graphs are run below the `run` of LiteRT.js, which checks the
 * inputs, describes the outputs and waits; that takes a third of the time of a small model.
 */
export class Signature {
  #graph;
  #index;
  #tensors;
  #outputs;

  /** @param {SignatureRunner} runner */
  constructor(runner) {
    // Internal fields of LiteRT.js; package-lock.json pins the version that has them.
    const internals = /** @type {{liteRtCompiledModel: CompiledGraph, signatureIndex: number}} */ (
      /** @type {unknown} */ (runner)
    );
    this.#graph = internals.liteRtCompiledModel;
    this.#index = internals.signatureIndex;
    const details = runner.getInputDetails();
    /** Inputs, in the order of the graph. */
    this.inputs = details.map(toPort);
    this.#tensors = details.map((each) => new Tensor(newRow(toPort(each)), [...each.shape]));
    this.#outputs = runner.getOutputDetails().map(toPort);
  }

  /**
   * Run the graph once.
   *
   * @param {Record<string, Row>} rows inputs by name; other names are ignored.
   * @returns {Record<string, Row>} outputs by name.
   */
  run(rows) {
    const buffers = this.#tensors.map((tensor) => tensor.liteRtTensorBuffer);
    this.inputs.forEach((port, index) => {
      writeRow(buffers[index], port, rows[port.name]);
    });
    const results = this.#graph.run(this.#index, buffers);
    /** @type {Record<string, Row>} */
    const outputs = {};
    this.#outputs.forEach((port, index) => {
      outputs[port.name] = readRow(results[index], port);
      results[index].delete();
    });
    return outputs;
  }

  /**
   * Run the graph on any number of ids, in batches of the input's length.
   *
   * @param {string} name name of the input for the ids.
   * @param {number[]} ids
   * @param {Record<string, Row>} rows the other inputs, the same for every batch.
   * @returns {Record<string, Float32Array>} outputs by name, each concatenated in the order of the
   *     ids.
   */
  runOnAll(name, ids, rows = {}) {
    const row = new Int32Array(this.inputs.find((input) => input.name === name)?.length ?? 0);
    const results = this.#outputs.map((output) => {
      const width = output.length / row.length;
      return { name: output.name, width, values: new Float32Array(ids.length * width) };
    });
    for (let start = 0; start < ids.length; start += row.length) {
      const batch = ids.slice(start, start + row.length);
      row.set(batch);
      const outputs = this.run({ ...rows, [name]: row });
      for (const { name: output, width, values } of results) {
        values.set(outputs[output].subarray(0, batch.length * width), start * width);
      }
    }
    return Object.fromEntries(results.map(({ name: output, values }) => [output, values]));
  }

  /** Free the memory of the inputs; the signature cannot be used afterwards. */
  close() {
    for (const tensor of this.#tensors) tensor.delete();
  }
}

/**
 * Allocate zeros for an input or output.
 *
 * @param {Port} port
 * @returns {Row}
 */
export function newRow({ dtype, length }) {
  return dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
}

/**
 * @param {TensorDetails} details
 * @returns {Port}
 */
function toPort({ name, dtype, shape }) {
  return { name, dtype, length: shape.reduce((length, axis) => length * axis, 1) };
}

/**
 * Write a row into a buffer.
 *
 * @param {Buffer} buffer
 * @param {Port} port
 * @param {Row} row
 */
function writeRow(buffer, port, row) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
  viewMemory(wasm, address, port).set(row);
  buffer.unlock();
}

/**
 * Copy a row out of a buffer.
 *
 * @param {Buffer} buffer
 * @param {Port} port
 * @returns {Row}
 */
function readRow(buffer, port) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.READ);
  const row = viewMemory(wasm, address, port).slice();
  buffer.unlock();
  return row;
}

/**
 * Return a view of the runtime's memory. Do not cache it: growing the memory detaches the view.
 *
 * @param {{HEAPU8: Uint8Array}} wasm
 * @param {number} address
 * @param {Port} port
 * @returns {Row}
 */
function viewMemory({ HEAPU8: { buffer } }, address, { dtype, length }) {
  return dtype === "int32"
    ? new Int32Array(buffer, address, length)
    : new Float32Array(buffer, address, length);
}
