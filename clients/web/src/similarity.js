/** Cosine similarity of item embeddings. */

import { topScored } from "./top_k.js";

/**
 * Scale vectors to unit length; a zero vector stays zero.
 *
 * @param {{vectors: Float32Array, biases: Float32Array}} embeddings row-major [V, D]; [V].
 * @returns {Float32Array[]} [V], each [D].
 */
export function toUnitVectors({ vectors, biases: { length: count } }) {
  const width = vectors.length / count;
  return Array.from({ length: count }, (_, row) => {
    const vector = vectors.subarray(row * width, (row + 1) * width);
    const length = Math.sqrt(dot(vector, vector)) || 1;
    return vector.map((each) => each / length);
  });
}

/**
 * Return the k items with the highest cosine similarity to an item, without the item itself.
 *
 * @param {Float32Array[]} unitVectors vector of each id, id i at index i - 1, [V].
 * @param {number} id
 * @param {number} k
 */
export function rankSimilar(unitVectors, id, k) {
  const others = Array.from(unitVectors, (_, index) => index + 1).filter((each) => each !== id);
  const cosines = others.map((each) => dot(unitVectors[each - 1], unitVectors[id - 1]));
  return topScored(others, cosines, k);
}

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function dot(a, b) {
  return a.reduce((sum, each, index) => sum + each * b[index], 0);
}
