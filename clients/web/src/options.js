/** The options of a recommender's methods. */

import { asList } from "./item_index.js";

/** @import { Features } from "./features.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { Adapter } from "./user_adapter.js" */

/**
 * @typedef {"error" | "popular"} Unknown result for a history whose items are all unknown: an error,
 *     or the popular items.
 */

/**
 * @typedef {object} LoadOptions
 * @property {string} [publicKey] PEM text of an Ed25519 public key: only a file that its owner signed
 *     is loaded.
 * @property {string | URL} [runtime] URL of a copy of the folder wasm/ of `@litertjs/core`, as
 *     described in runtime_files.js; the first call decides. Node.js finds it without.
 */

/**
 * @typedef {object} UpdateOptions
 * @property {string} [publicKey] by default that of `load`.
 * @property {boolean} [rollback] true accepts a model that is older than the current one.
 */

/**
 * @typedef {object} RecommendOptions
 * @property {Iterable<RawItem>} [exclude] items to exclude in addition to the history.
 * @property {Iterable<RawItem>} [candidates] the only items to rank; by default all.
 * @property {Features} [features]
 * @property {Adapter} [adapter] adapter of the user, the result of `adapt`.
 * @property {Unknown} [unknown] "error" by default.
 */

/**
 * @typedef {object} RecommendManyOptions
 * @property {Iterable<Iterable<RawItem>>} [exclude] items to exclude, one list per history.
 * @property {Iterable<Features>} [features] one object per history.
 * @property {Unknown} [unknown] "error" by default.
 */

/**
 * @typedef {object} EncodeOptions
 * @property {Features} [features]
 * @property {Adapter} [adapter] adapter of the user, the result of `adapt`.
 */

/** @typedef {{features?: Features}} PredictOptions */
/** @typedef {{weights?: Iterable<number>}} AdaptOptions weights: one per item, 0 or more. */

/**
 * Check the option `unknown`.
 *
 * @param {Unknown} [unknown]
 * @returns {Unknown}
 * @throws {RangeError} it is neither "error" nor "popular".
 */
export function requireUnknown(unknown = "error") {
  if (unknown === "error" || unknown === "popular") return unknown;
  throw new RangeError(
    `unknown=${JSON.stringify(unknown)} is neither "error" nor "popular"; give one of them`,
  );
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
