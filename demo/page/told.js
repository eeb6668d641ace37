/** Feature values that a user enters, and their conversion to a model's features. */

/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").InputFeature} TakenFeature */
/** @typedef {import("./history.js").Chosen} Chosen */

/** @typedef {Record<string, string | number>} Told values by feature name; others are unknown. */

const MOST_STARS = 10;
const LIST = new Intl.ListFormat("en");

/**
 * Collect the features of several models; the first of those with the same name is used.
 *
 * @param {{features: TakenFeature[]}[]} models
 */
export function takenBy(models) {
  /** @type {Map<string, TakenFeature>} */
  const taken = new Map();
  for (const feature of models.flatMap(({ features }) => features)) {
    if (!taken.has(feature.name)) taken.set(feature.name, feature);
  }
  return [...taken.values()];
}

/**
 * Return the features that the user can enter; ages come from the clock.
 *
 * @param {TakenFeature[]} taken
 * @param {"activity" | "user"} owner
 */
export function askable(taken, owner) {
  return taken.filter(({ of, kind }) => of === owner && kind !== "age");
}

/** @param {TakenFeature[]} taken */
export function takesAge(taken) {
  return taken.some(({ kind }) => kind === "age");
}

/**
 * Check whether a feature is a rating of 1 to MOST_STARS stars.
 *
 * @param {TakenFeature} feature
 */
export function isRating({ of, kind, values }) {
  const isStar = (/** @type {unknown} */ value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_STARS;
  return of === "activity" && kind === "id" && values.every(isStar);
}

/**
 * Return the label of a feature; features of the user have the prefix "user_".
 *
 * @param {string} name
 */
export function labelOf(name) {
  return name.replace(/^user_/, "").replaceAll("_", " ");
}

/**
 * Build the features of a request.
 *
 * @param {TakenFeature[]} taken
 * @param {Chosen[]} entries history, the oldest first.
 * @param {Told} user
 * @param {number} now in milliseconds since 1970, like `at` of an entry.
 * @returns {Features}
 */
export function featuresOf(taken, entries, user, now) {
  const values = taken.map((feature) => {
    const { name, of, kind } = feature;
    if (of === "user") return [name, compatibleValue(feature, user[name])];
    if (of === "moment") return [name, momentOf(name, new Date(now))];
    if (kind === "age") return [name, entries.map(({ at }) => at && (now - at) / 1000)];
    return [name, entries.map(({ told }) => compatibleValue(feature, told?.[name]))];
  });
  return Object.fromEntries(values);
}

/**
 * Return the value of a feature of the moment, in the user's local time.
 *
 * @param {string} name
 * @param {Date} now
 */
function momentOf(name, now) {
  if (name === "hour") return now.getHours();
  // ISO 8601: Monday is 1, Sunday is 7; getDay() returns 0 for Sunday.
  return name === "weekday" ? now.getDay() || 7 : undefined;
}

/**
 * Return the value if its type fits the feature: text stored for an older model is no number.
 *
 * @param {TakenFeature} feature
 * @param {string | number | undefined} value
 */
function compatibleValue({ kind }, value) {
  return kind === "number" && typeof value !== "number" ? undefined : value;
}

/**
 * Format the notice of which values the models take and that they stay on the device.
 *
 * @param {TakenFeature[]} taken
 */
export function saidOf(taken) {
  const told = [
    ...(askable(taken, "activity").length ? ["what you say of each item"] : []),
    ...(takesAge(taken) ? ["how long ago you tapped it"] : []),
    ...(taken.some(({ of }) => of === "moment") ? ["what time it is"] : []),
  ];
  return told.length ? `The model is told ${LIST.format(told)}. It stays on this device.` : "";
}
