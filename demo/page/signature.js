/** A signature of a .tflite file, as a function from named arrays to named arrays. */

import { getGlobalLiteRt, Tensor } from "./runtime/litert.js";

/** @typedef {Int32Array | Float32Array} Row flat values of a tensor. */

/**
 * @typedef {object} Port an input or output tensor.
 * @property {string} name
 * @property {string} dtype "int32" or "float32"; files of jaxrec use no other type.
 * @property {number} length number of elements.
 */

/** @typedef {Tensor["liteRtTensorBuffer"]} Buffer memory owned by the runtime. */

/**
 * @typedef {object} Compiled internal model object of the runtime.
 * @property {(signature: number, inputs: Buffer[]) => Buffer[]} run
 */

/**
 * One signature of a compiled model.
 *
 * The runtime's memory is not garbage-collected: input tensors are allocated once and reused,
 * outputs are copied and freed. Graphs are run below the `run` of LiteRT.js, whose checks of the
 * inputs, descriptions of the outputs and waits take a third of the time of a small model.
 */
export class Signature {
  #compiled;
  #index;
  #tensors;
  #outputs;

  /** @param {import("./runtime/litert.js").SignatureRunner} runner */
  constructor(runner) {
    // Internal fields of LiteRT.js; package-lock.json pins the version that has them.
    const internals = /** @type {{liteRtCompiledModel: Compiled, signatureIndex: number}} */ (
      /** @type {unknown} */ (runner)
    );
    this.#compiled = internals.liteRtCompiledModel;
    this.#index = internals.signatureIndex;
    const details = runner.getInputDetails();
    /** Input tensors. */
    this.inputs = details.map(portOf);
    this.#tensors = details.map((each) => new Tensor(newRow(portOf(each)), [...each.shape]));
    this.#outputs = runner.getOutputDetails().map(portOf);
  }

  /**
   * Run the graph once.
   *
   * @param {Record<string, Row>} rows inputs by name.
   * @returns {Record<string, Row>} outputs by name.
   */
  run(rows) {
    const inputs = this.#tensors.map((tensor) => tensor.liteRtTensorBuffer);
    this.inputs.forEach((port, index) => {
      write(inputs[index], port, rows[port.name]);
    });
    const outputs = this.#compiled.run(this.#index, inputs);
    /** @type {Record<string, Row>} */
    const byName = {};
    this.#outputs.forEach((port, index) => {
      byName[port.name] = read(outputs[index], port);
      outputs[index].delete();
    });
    return byName;
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
      const perId = output.length / row.length;
      return { name: output.name, perId, values: new Float32Array(ids.length * perId) };
    });
    for (let start = 0; start < ids.length; start += row.length) {
      const part = ids.slice(start, start + row.length);
      row.set(part);
      const byName = this.run({ ...rows, [name]: row });
      for (const { name: output, perId, values } of results) {
        values.set(byName[output].subarray(0, part.length * perId), start * perId);
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
 * @param {import("./runtime/litert.js").TensorDetails} details
 * @returns {Port}
 */
function portOf({ name, dtype, shape }) {
  return { name, dtype, length: shape.reduce((length, axis) => length * axis, 1) };
}

/**
 * Write a row into a buffer.
 *
 * @param {Buffer} buffer
 * @param {Port} port
 * @param {Row} row
 */
function write(buffer, port, row) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
  view(wasm, address, port).set(row);
  buffer.unlock();
}

/**
 * Copy a row out of a buffer.
 *
 * @param {Buffer} buffer
 * @param {Port} port
 * @returns {Row}
 */
function read(buffer, port) {
  const { liteRtWasm: wasm } = getGlobalLiteRt();
  const address = buffer.lock(wasm.LiteRtTensorBufferLockMode.READ);
  const row = view(wasm, address, port).slice();
  buffer.unlock();
  return row;
}

/**
 * Return a view of the runtime's memory. Do not cache it: growing the memory detaches the buffer.
 *
 * @param {{HEAPU8: Uint8Array}} wasm
 * @param {number} address
 * @param {Port} port
 * @returns {Row}
 */
function view({ HEAPU8: { buffer } }, address, { dtype, length }) {
  return dtype === "int32"
    ? new Int32Array(buffer, address, length)
    : new Float32Array(buffer, address, length);
}
