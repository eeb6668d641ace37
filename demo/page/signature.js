/** One way to call a .tflite file, as a function from rows of numbers to rows of numbers. */

import { getGlobalLiteRt, Tensor } from "./runtime/litert.js";

/** @typedef {Int32Array | Float32Array} Row the numbers of a tensor, one after the other. */

/**
 * @typedef {object} Port an input or an output.
 * @property {string} name
 * @property {string} dtype "int32" or "float32": a file of jaxrec has no others.
 * @property {number} length how many numbers it has.
 */

/** @typedef {Tensor["liteRtTensorBuffer"]} Buffer memory of the runtime. */

/**
 * @typedef {object} Compiled a model of the runtime itself.
 * @property {(signature: number, inputs: Buffer[]) => Buffer[]} run
 */

/**
 * The runtime's memory is its own, nothing in it is collected: input tensors are made once and
 * written again, outputs are copied out and freed. Both are read and written in place, and graphs
 * are run beneath the `run` of LiteRT.js, which at each call checks the inputs anew, describes the
 * outputs and waits: a third of the time of a small model.
 */
export class Signature {
  #compiled;
  #index;
  #tensors;
  #outputs;

  /** @param {import("./runtime/litert.js").SignatureRunner} runner */
  constructor(runner) {
    // LiteRT.js keeps these two to itself, and has them since its version is locked.
    const own = /** @type {{liteRtCompiledModel: Compiled, signatureIndex: number}} */ (
      /** @type {unknown} */ (runner)
    );
    this.#compiled = own.liteRtCompiledModel;
    this.#index = own.signatureIndex;
    const details = runner.getInputDetails();
    /** What it takes. */
    this.inputs = details.map(portOf);
    this.#tensors = details.map((each) => new Tensor(newRow(portOf(each)), [...each.shape]));
    this.#outputs = runner.getOutputDetails().map(portOf);
  }

  /**
   * Run once.
   *
   * @param {Record<string, Row>} rows each input by its name.
   * @returns {Record<string, Row>} each output by its name.
   */
  run(rows) {
    const inputs = this.#tensors.map((tensor) => tensor.liteRtTensorBuffer);
    this.inputs.forEach((port, place) => {
      write(inputs[place], port, rows[port.name]);
    });
    const outputs = this.#compiled.run(this.#index, inputs);
    /** @type {Record<string, Row>} */
    const found = {};
    this.#outputs.forEach((port, place) => {
      found[port.name] = read(outputs[place], port);
      outputs[place].delete();
    });
    return found;
  }

  /**
   * Run on any number of ids, as many in a call as an input takes.
   *
   * @param {string} name the input of the ids.
   * @param {number[]} ids
   * @param {Record<string, Row>} rows the other inputs, which are the same in every call.
   * @returns {Record<string, Float32Array>} each output: the numbers of the first id, then those of
   *     the second, and so on.
   */
  runOnAll(name, ids, rows = {}) {
    const row = new Int32Array(this.inputs.find((input) => input.name === name)?.length ?? 0);
    const wholes = this.#outputs.map((output) => {
      const perId = output.length / row.length;
      return { name: output.name, perId, whole: new Float32Array(ids.length * perId) };
    });
    for (let start = 0; start < ids.length; start += row.length) {
      const part = ids.slice(start, start + row.length);
      row.set(part);
      const found = this.run({ ...rows, [name]: row });
      for (const { name: output, perId, whole } of wholes) {
        whole.set(found[output].subarray(0, part.length * perId), start * perId);
      }
    }
    return Object.fromEntries(wholes.map(({ name: output, whole }) => [output, whole]));
  }

  /** Free the memory of its inputs; it cannot be used afterwards. */
  close() {
    for (const tensor of this.#tensors) tensor.delete();
  }
}

/**
 * Make zeros for an input or an output.
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
 * Give the runtime's memory at an address, looked up anew: it moves when it grows.
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
