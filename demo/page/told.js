/** What a person tells a model beside what they have seen, and how it is asked for. */

/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").TakenFeature} TakenFeature */
/** @typedef {import("./history.js").Chosen} Chosen */

/** @typedef {Record<string, string | number>} Told values by the names of features; others are unknown. */

const MOST_STARS = 10;
const LIST = new Intl.ListFormat("en");

/**
 * Give what some models take together; of features of one name the first counts.
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
 * Give what a person can be asked for; what a clock says is known without.
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
 * Tell whether a feature is asked for by stars.
 *
 * @param {TakenFeature} feature
 */
export function isRating({ of, kind, values }) {
  const isStar = (/** @type {unknown} */ value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_STARS;
  return of === "activity" && kind === "id" && values.every(isStar);
}

/**
 * Say how a feature is called; an input of the user's has the prefix "user_".
 *
 * @param {string} name
 */
export function labelOf(name) {
  return name.replace(/^user_/, "").replaceAll("_", " ");
}

/**
 * Tell a model what it takes.
 *
 * @param {TakenFeature[]} taken
 * @param {Chosen[]} entries the history, the oldest first.
 * @param {Told} user
 * @param {number} now in milliseconds, as is when an item was tapped.
 * @returns {Features}
 */
export function featuresOf(taken, entries, user, now) {
  const values = taken.map((feature) => {
    const { name, of, kind } = feature;
    if (of === "user") return [name, fitting(feature, user[name])];
    if (of === "moment") return [name, momentOf(name, new Date(now))];
    if (kind === "age") return [name, entries.map(({ at }) => at && (now - at) / 1000)];
    return [name, entries.map(({ told }) => fitting(feature, told?.[name]))];
  });
  return Object.fromEntries(values);
}

/**
 * Say what time it is where the person is.
 *
 * @param {string} name
 * @param {Date} now
 */
function momentOf(name, now) {
  if (name === "hour") return now.getHours();
  // As ISO 8601 counts: Monday is 1, Sunday 7.
  return name === "weekday" ? now.getDay() || 7 : undefined;
}

/**
 * What was kept for an older model may be text where this one takes a number.
 *
 * @param {TakenFeature} feature
 * @param {string | number | undefined} value
 */
function fitting({ kind }, value) {
  return kind === "number" && typeof value !== "number" ? undefined : value;
}

/**
 * Say what a model is told beside the items, and that nobody else is.
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
