/** Requests: a caller's histories, and the inputs of the graph for them. */

import { FeatureEncoder } from "./features.js";
import { areUnknown, asList, NO_ITEM } from "./item_index.js";
import { perHistory, requireUnknown } from "./options.js";
import { HISTORY, newRow } from "./signature.js";

/** @import { EncodedFeatures, Features, InputFeature } from "./features.js" */
/** @import { ItemIndex, RawItem } from "./item_index.js" */
/** @import { RecommendManyOptions, Unknown } from "./options.js" */
/** @import { Port, Row } from "./signature.js" */

/** An error names this many histories, so that it remains one readable line. */
const MAX_NAMED = 5;

/**
 * @typedef {object} Request a history, its features, and the items to exclude.
 * @property {RawItem[]} items history.
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
   * Convert the arguments of a call for one history to a request.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {{features?: Features, exclude?: Iterable<RawItem>, unknown?: Unknown}} options
   * @returns {Request}
   * @throws {TypeError|RangeError} an argument is not a list, all items of the history are unknown,
   *     or the features do not fit the model.
   */
  build(items, { features, exclude, unknown }) {
    const isAllowed = requireUnknown(unknown) === "popular";
    const request = this.#convert(items, features, exclude);
    if (!isAllowed && areUnknown(request.ids)) {
      throw this.#itemIndex.allUnknown("items", request.items[0]);
    }
    return request;
  }

  /**
   * Convert the arguments of a call for several histories to requests.
   *
   * @param {Iterable<Iterable<RawItem>>} histories
   * @param {RecommendManyOptions} options
   * @returns {Request[]}
   * @throws {TypeError|RangeError} as in `build`; the message has the indices of the histories.
   */
  buildMany(histories, options) {
    const isAllowed = requireUnknown(options.unknown) === "popular";
    const list = asList(histories, "histories");
    const features = perHistory("features", options.features, list.length);
    const exclude = perHistory("exclude", options.exclude, list.length);
    const requests = list.map((items, index) =>
      this.#convert(items, features[index], exclude[index], ` of histories[${index}]`),
    );
    const unknown = [...requests.keys()].filter((index) => areUnknown(requests[index].ids));
    if (isAllowed || unknown.length === 0) return requests;
    const names = unknown.slice(0, MAX_NAMED).map((index) => `[${index}]`);
    const others = unknown.length - names.length;
    const more = others > 0 ? ` and ${others.toLocaleString("en")} more` : "";
    throw this.#itemIndex.allUnknown(
      `items of histories${names.join(", ")}${more}`,
      requests[unknown[0]].items[0],
    );
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

  /**
   * @param {Iterable<RawItem>} items
   * @param {Features} features
   * @param {Iterable<RawItem>} exclude
   * @param {string} of suffix that names the history in error messages.
   * @returns {Request}
   */
  #convert(items, features = {}, exclude = [], of = "") {
    const list = asList(items, `items${of}`);
    return {
      items: list,
      ids: this.#itemIndex.idsOf(list, `items${of}`),
      features: this.#encoder.encode(features, list.length, `items${of}`),
      exclude: this.#itemIndex.idsOf(exclude, `items to exclude${of}`),
    };
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
