/** Feature values that the user enters, and their conversion to the features of a request. */

/** @import { Features, InputFeature } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */

/** @typedef {Record<string, string | number>} FeatureValues by feature name; others are unknown. */

const MAX_STARS = 10;
const LIST_FORMAT = new Intl.ListFormat("en");

/**
 * Collect the features of several models; the first of those with the same name is used.
 *
 * @param {{features: InputFeature[]}[]} models
 */
export function collectFeatures(models) {
  /** @type {Map<string, InputFeature>} */
  const byName = new Map();
  for (const feature of models.flatMap(({ features }) => features)) {
    if (!byName.has(feature.name)) byName.set(feature.name, feature);
  }
  return [...byName.values()];
}

/**
 * Return the features that the user can enter; ages are computed from the clock.
 *
 * @param {InputFeature[]} features
 * @param {"activity" | "user"} owner
 */
export function editableFeatures(features, owner) {
  return features.filter(({ of, kind }) => of === owner && kind !== "age");
}

/**
 * Check whether the age of an activity is among the features.
 *
 * @param {InputFeature[]} features
 */
export function includesAge(features) {
  return features.some(({ kind }) => kind === "age");
}

/**
 * Check whether a feature is a rating of 1 to MAX_STARS stars.
 *
 * @param {InputFeature} feature
 */
export function isRating({ of, kind, values }) {
  const isStarCount = (/** @type {unknown} */ value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_STARS;
  return of === "activity" && kind === "id" && values.every(isStarCount);
}

/**
 * Return the label of a feature; the names of user features have the prefix "user_".
 *
 * @param {string} name
 */
export function featureLabel(name) {
  return name.replace(/^user_/, "").replaceAll("_", " ");
}

/**
 * Build the features of a request.
 *
 * @param {InputFeature[]} inputFeatures
 * @param {HistoryEntry[]} entries history, the oldest first.
 * @param {FeatureValues} userFeatures
 * @param {number} now in milliseconds since 1970, like `at` of an entry.
 * @returns {Features}
 */
export function requestFeatures(inputFeatures, entries, userFeatures, now) {
  const pairs = inputFeatures.map((feature) => {
    const { name, of, kind } = feature;
    if (of === "user") return [name, compatibleValue(feature, userFeatures[name])];
    if (of === "moment") return [name, momentValue(name, new Date(now))];
    if (kind === "age") return [name, entries.map(({ at }) => at && (now - at) / 1000)];
    return [name, entries.map(({ features }) => compatibleValue(feature, features?.[name]))];
  });
  return Object.fromEntries(pairs);
}

/**
 * Return the value of a feature of the moment, in the user's local time.
 *
 * @param {string} name
 * @param {Date} now
 */
function momentValue(name, now) {
  if (name === "hour") return now.getHours();
  // ISO 8601: Monday is 1, Sunday is 7; getDay() returns 0 for Sunday.
  return name === "weekday" ? now.getDay() || 7 : undefined;
}

/**
 * Return the value if its type fits the feature: it may have been stored for another model.
 *
 * @param {InputFeature} feature
 * @param {string | number | undefined} value
 */
function compatibleValue({ kind }, value) {
  return kind === "number" && typeof value !== "number" ? undefined : value;
}

/**
 * Format a notice of the data that the models read in addition to the items, or an empty string.
 *
 * @param {InputFeature[]} features
 */
export function inputsNotice(features) {
  const inputs = [
    ...(editableFeatures(features, "activity").length ? ["the values you enter for items"] : []),
    ...(includesAge(features) ? ["the time since you tapped each item"] : []),
    ...(features.some(({ of }) => of === "moment") ? ["the current time"] : []),
  ];
  if (inputs.length === 0) return "";
  return `The model also reads ${LIST_FORMAT.format(inputs)}. This data stays on this device.`;
}
