/** A signature of a .tflite file, as a function from named arrays to named arrays. */

/** @import { Runtime, Wasm } from "./litert.js" */

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

/** @typedef {ReturnType<Wasm["loadModel"]>} LoadedGraph */
/** @typedef {Awaited<ReturnType<Wasm["compileModel"]>>} Compiled */
/** @typedef {ReturnType<LoadedGraph["getInputTensorType"]>} TensorType */
/** @typedef {ReturnType<Wasm["LiteRtTensorBuffer"]["createManaged"]>} Buffer runtime's memory. */

/** Code of 32-bit integers; all other tensors of jaxrec's files have 32-bit floats. */
const INT32 = 2;

/**
 * One signature of a compiled graph.
 *
 * The runtime's memory is not garbage-collected: input buffers are allocated once and reused,
 * outputs are copied and freed.
 */
export class Signature {
  #wasm;
  #compiled;
  #index;
  /** @type {Buffer[]} */
  #buffers = [];
  /** @type {Port[]} */
  #outputs;

  /**
   * @param {Runtime} runtime
   * @param {LoadedGraph} model
   * @param {Compiled} compiled
   * @param {number} index number of the signature.
   */
  constructor({ wasm, environment }, model, compiled, index) {
    this.#wasm = wasm;
    this.#compiled = compiled;
    this.#index = index;
    const signature = model.getSignature(index);
    this.name = signature.key();
    /** Inputs, in the order of the graph. */
    this.inputs = toList(signature.inputNames()).map((name, input) => {
      const type = model.getInputTensorType(index, input);
      const { LiteRtTensorBuffer, LiteRtTensorBufferType } = wasm;
      this.#buffers.push(
        LiteRtTensorBuffer.createManaged(
          environment,
          LiteRtTensorBufferType.HOST_MEMORY,
          type,
          type.bytes(),
        ),
      );
      return toPort(name, type);
    });
    this.#outputs = toList(signature.outputNames()).map((name, output) =>
      toPort(name, model.getOutputTensorType(index, output)),
    );
    signature.delete();
  }

  /**
   * Run the graph once.
   *
   * @param {Record<string, Row>} rows inputs by name; other names are ignored.
   * @returns {Record<string, Row>} outputs by name.
   */
  run(rows) {
    this.inputs.forEach((port, index) => {
      this.#write(this.#buffers[index], port, rows[port.name]);
    });
    // A promise only in builds that suspend WebAssembly, which are not loaded.
    const results = /** @type {Buffer[]} */ (this.#compiled.run(this.#index, this.#buffers));
    /** @type {Record<string, Row>} */
    const outputs = {};
    this.#outputs.forEach((port, index) => {
      outputs[port.name] = this.#read(results[index], port);
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
    for (const buffer of this.#buffers) buffer.delete();
  }

  /**
   * Write a row into a buffer.
   *
   * @param {Buffer} buffer
   * @param {Port} port
   * @param {Row} row
   */
  #write(buffer, port, row) {
    const address = buffer.lock(this.#wasm.LiteRtTensorBufferLockMode.WRITE);
    viewMemory(this.#wasm, address, port).set(row);
    buffer.unlock();
  }

  /**
   * Copy a row out of a buffer.
   *
   * @param {Buffer} buffer
   * @param {Port} port
   * @returns {Row}
   */
  #read(buffer, port) {
    const address = buffer.lock(this.#wasm.LiteRtTensorBufferLockMode.READ);
    const row = viewMemory(this.#wasm, address, port).slice();
    buffer.unlock();
    return row;
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
 * Describe a tensor, and free its type.
 *
 * @param {string} name
 * @param {TensorType} type
 * @returns {Port}
 */
function toPort(name, type) {
  const dtype = type.elementType().value === INT32 ? "int32" : "float32";
  const length = type.bytes() / Int32Array.BYTES_PER_ELEMENT;
  type.delete();
  return { name, dtype, length };
}

/**
 * Copy a vector of the runtime, and free it.
 *
 * @param {ReturnType<ReturnType<LoadedGraph["getSignature"]>["inputNames"]>} vector
 * @returns {string[]}
 */
function toList(vector) {
  const list = Array.from({ length: vector.size() }, (_, index) => vector.get(index));
  vector.delete();
  return list;
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
