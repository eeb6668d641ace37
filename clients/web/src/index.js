/** The package for browsers: recommends with a .tflite file of jaxrec. */

export { BundleError } from "./bundle_error.js";
export { Catalogue, titleOf } from "./catalogue.js";
export { LoadError } from "./fetch_file.js";
export { sha256 } from "./integrity.js";
export { Recommender } from "./recommender.js";
export { runtimeBuild, UnsupportedError } from "./runtime_files.js";
export { isKept, minKnownItems } from "./user_adapter.js";
export { WorkerRecommender } from "./worker_recommender.js";

/** @typedef {import("./bundle.js").Model} Model */
/** @typedef {import("./catalogue.js").Entry} Entry */
/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").InputFeature} InputFeature */
/** @typedef {import("./item_index.js").RawItem} RawItem */
/** @typedef {import("./options.js").LoadOptions} LoadOptions */
/** @typedef {import("./options.js").RecommendManyOptions} RecommendManyOptions */
/** @typedef {import("./options.js").RecommendOptions} RecommendOptions */
/** @typedef {import("./options.js").UpdateOptions} UpdateOptions */
/** @typedef {import("./recommendation.js").Rating} Rating */
/** @typedef {import("./recommendation.js").Recommendation} Recommendation */
/** @typedef {import("./user_adapter.js").Adapter} Adapter */
/** @typedef {import("./user_adapter.js").AdaptSettings} AdaptSettings */
