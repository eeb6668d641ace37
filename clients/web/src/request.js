/** Requests: a caller's histories, and the inputs of the graph for them. */

import { FeatureEncoder } from "./features.js";
import { asList, NO_ITEM } from "./item_index.js";
import { HISTORY, newRow } from "./signature.js";

/** @import { EncodedFeatures, Features, InputFeature } from "./features.js" */
/** @import { ItemIndex, RawItem } from "./item_index.js" */
/** @import { Port, Row } from "./signature.js" */

/**
 * @typedef {object} Request a history, its features, and the items to exclude.
 * @property {number[]} ids ids of all items of the history, NO_ITEM for unknown items.
 * @property {EncodedFeatures} features
 * @property {number[]} exclude ids to exclude in addition to the history.
 */

/** Builder of a model's requests and of their inputs. */
export class RequestBuilder {
  #itemIndex;
  #encoder;
  #ports;

  /**
   * @param {ItemIndex} itemIndex
   * @param {InputFeature[]} inputFeatures
   * @param {Port[]} ports inputs for a history and its features.
   */
  constructor(itemIndex, inputFeatures, ports) {
    this.#itemIndex = itemIndex;
    this.#encoder = new FeatureEncoder(inputFeatures);
    this.#ports = ports;
  }

  /**
   * Convert the arguments of a call to a request.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {Features} features
   * @param {Iterable<RawItem>} exclude
   * @param {string} of suffix that names the history in error messages.
   * @returns {Request}
   * @throws {TypeError|RangeError} an argument is not a list, all items of the history are unknown,
   *     or the features do not fit the model.
   */
  build(items, features = {}, exclude = [], of = "") {
    const ids = this.#itemIndex.requireAnyKnown(items, `items${of}`);
    return {
      ids,
      features: this.#encoder.encode(features, ids.length, `items${of}`),
      exclude: this.#itemIndex.idsOf(exclude, `items to exclude${of}`),
    };
  }

  /**
   * Build the inputs of a request: the last N known activities, right-aligned with padding at the
   * left, and the features of the user and the moment.
   *
   * @param {Request} request
   * @returns {Record<string, Row>}
   */
  inputs({ ids, features }) {
    const known = [...ids.keys()].filter((index) => ids[index] !== NO_ITEM);
    /** @type {Record<string, number | number[]>} */
    const columns = { ...features, [HISTORY]: ids };
    /** @type {Record<string, Row>} */
    const inputs = {};
    for (const port of this.#ports) {
      const row = newRow(port).fill(this.#encoder.unknownInput(port.name));
      const values = columns[port.name];
      if (typeof values === "number") {
        row.fill(values);
      } else {
        const last = known.slice(-port.length).map((index) => values[index]);
        row.set(last, port.length - last.length);
      }
      inputs[port.name] = row;
    }
    return inputs;
  }
}

/**
 * Return the ids that a list must not contain: `exclude` and, unless `keepSeen`, the whole history.
 *
 * @param {Request} request
 * @param {boolean} keepSeen
 */
export function excludedIds({ ids, exclude }, keepSeen) {
  return new Set([NO_ITEM, ...exclude, ...(keepSeen ? [] : ids)]);
}

/**
 * Check that there is one value for each history; return an empty list if `values` is undefined.
 *
 * @template Entry
 * @param {string} name name of the option.
 * @param {Iterable<Entry> | undefined} values
 * @param {number} count number of histories.
 * @returns {Entry[]}
 * @throws {RangeError} the number of values is not `count`.
 */
export function perHistory(name, values, count) {
  if (values === undefined) return [];
  const entries = asList(values, `entries of ${name}`);
  if (entries.length !== count) {
    throw new RangeError(
      `${name} has ${entries.length} entries for ${count} histories; give one each`,
    );
  }
  return entries;
}

/**
 * Check that all options exist; an unknown option would otherwise be ignored silently.
 *
 * @param {object} options
 * @param {string[]} names
 * @throws {TypeError} an option does not exist.
 */
export function checkOptions(options, names) {
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new TypeError(`there is no option "${other}"; the options are ${names.join(", ")}`);
}
