/** The user's history as an immutable list of entries, the oldest first. */

/** @import { RawItem } from "jaxrec" */
/** @import { FeatureValues } from "./user_inputs.js" */

/**
 * @typedef {object} HistoryEntry
 * @property {RawItem} item
 * @property {boolean} excluded whether the models ignore it for now, to see its effect.
 * @property {number} [at] time of the tap, in milliseconds since 1970.
 * @property {FeatureValues} [features] feature values that the user entered for it.
 */

/**
 * Add an item as the most recent, or remove it if present.
 *
 * @param {HistoryEntry[]} entries
 * @param {RawItem} item
 * @param {number} [at] time of the tap.
 */
export function toggleItem(entries, item, at) {
  return entries.some((entry) => entry.item === item)
    ? entries.filter((entry) => entry.item !== item)
    : [...entries, { item, excluded: false, at }];
}

/**
 * Move an item towards the most recent item, or the oldest one.
 *
 * @param {HistoryEntry[]} entries
 * @param {RawItem} item
 * @param {number} offset positive towards the most recent item.
 */
export function moveItem(entries, item, offset) {
  const from = entries.findIndex((entry) => entry.item === item);
  const others = entries.filter((entry) => entry.item !== item);
  const to = Math.min(Math.max(from + offset, 0), others.length);
  return others.toSpliced(to, 0, entries[from]);
}

/**
 * Exclude an item temporarily, or include it again.
 *
 * @param {HistoryEntry[]} entries
 * @param {RawItem} item
 */
export function toggleExcluded(entries, item) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, excluded: !entry.excluded } : entry,
  );
}

/**
 * Set a feature value of an item.
 *
 * @param {HistoryEntry[]} entries
 * @param {RawItem} item
 * @param {string} name name of the feature.
 * @param {string | number} [value] undefined if unknown.
 */
export function setItemFeature(entries, item, name, value) {
  return entries.map((entry) =>
    entry.item === item ? { ...entry, features: setValue(entry.features, name, value) } : entry,
  );
}

/**
 * Return feature values with one of them set, or removed if it is undefined.
 *
 * @param {FeatureValues | undefined} values
 * @param {string} name
 * @param {string | number} [value]
 * @returns {FeatureValues}
 */
export function setValue(values, name, value) {
  const { [name]: _, ...others } = values ?? {};
  return value === undefined ? others : { ...others, [name]: value };
}

/**
 * Return the entries that are not excluded, the oldest first.
 *
 * @param {HistoryEntry[]} entries
 */
export function includedEntries(entries) {
  return entries.filter(({ excluded }) => !excluded);
}
