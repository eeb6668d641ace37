/** The package `jaxrec`: recommends in a browser with a .tflite file of jaxrec. */

export { BundleError, sha256 } from "./bundle.js";
export { Catalogue, packCatalogue, titleOf } from "./catalogue.js";
export { UnsupportedError } from "./interpreter.js";
export { Recommender } from "./recommender.js";
export { isKept, minKnownItems } from "./user_adapter.js";

/** @typedef {import("./bundle.js").Model} Model */
/** @typedef {import("./catalogue.js").Entry} Entry */
/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").InputFeature} InputFeature */
/** @typedef {import("./item_index.js").RawItem} RawItem */
/** @typedef {import("./recommendation.js").Rating} Rating */
/** @typedef {import("./recommendation.js").Recommendation} Recommendation */
/** @typedef {import("./user_adapter.js").Adapter} Adapter */
/** @typedef {import("./user_adapter.js").AdaptSettings} AdaptSettings */
