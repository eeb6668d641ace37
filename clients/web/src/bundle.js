/**
 * Reader of a .tflite file of jaxrec: a flatbuffer followed by a zip archive.
 *
 * The archive contains the vocabulary (raw items), the catalogue, the model card and model.json, and
 * in a signed file the signature of the last.
 */

import { readArchive } from "./archive.js";
import { BundleError, damagedError } from "./bundle_error.js";
import { Catalogue, packCatalogue } from "./catalogue.js";
import { MODEL, requireComplete, requireSigned, sha256 } from "./integrity.js";
import { importPublicKey } from "./public_key.js";

/**
 * Version of the bundle's layout. In format 2, some keys of model.json have other names; in format 1,
 * the catalogue also is one list of entries. Any other version is an error.
 */
const FORMAT = 3;
const ENTRIES_FORMAT = 1;

/** @import { Entry } from "./catalogue.js" */
/** @import { InputFeature } from "./features.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { AdaptSettings } from "./user_adapter.js" */

/** @typedef {Record<string, number> & {"recall@10_interval": [number, number]}} Figures */

/**
 * @typedef {object} Model fields of model.json that are read here or by applications.
 * @property {number} format
 * @property {string} run
 * @property {string} encoder
 * @property {string} recipe storage format of the weights.
 * @property {number} batch_size number of histories per call, B.
 * @property {number} history_length N.
 * @property {number} top_k
 * @property {number} candidates M.
 * @property {boolean} keep_seen
 * @property {InputFeature[]} [features] features that it takes.
 * @property {number[] | null} [ratings] rating values, ascending, if it predicts ratings.
 * @property {AdaptSettings | null} [adapt] how it learns adapters, if it does.
 * @property {string} [created] UTC, "2026-12-01T12:00:00Z"; older files lack it and the next four.
 * @property {string | null} [log_until] time of the last activity of its log, if that has times.
 * @property {number} [sequence] 1, or one more than that of the file that it follows.
 * @property {string | null} [parent] SHA-256 of that file.
 * @property {Record<string, string>} [members] SHA-256 of the members of the archive by name.
 * @property {{bytes: number, sha256: string}} graph
 * @property {{size: number, sha256: string}} vocabulary
 * @property {{protocol: Protocol, test: Figures, baselines: Record<string, Figures>,
 *     "recall@10 through the file": number}} evaluation
 */

/**
 * @typedef {object} Protocol evaluation protocol of the metrics.
 * @property {string} dataset
 * @property {string} split
 * @property {number} test_users
 * @property {number} candidates
 * @property {boolean} excludes_history
 * @property {number} seed
 * @property {boolean} leaks_the_future
 */

/**
 * @typedef {object} Bundle parts of one file.
 * @property {Uint8Array<ArrayBuffer>} graph flatbuffer.
 * @property {RawItem[]} items raw item of each id, id i at index i - 1, [V].
 * @property {Catalogue} catalogue entry of each id, [V].
 * @property {Model} model
 * @property {string} sha256 hash of the whole file.
 */

/**
 * Read a file and check that it is intact, before the graph is passed to the runtime.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes content of the whole .tflite file.
 * @param {string} [publicKey] PEM text of the key whose owner must have signed it.
 * @returns {Promise<Bundle>}
 * @throws {BundleError} it is not a file of jaxrec, has another version, is damaged, is not signed by
 *     the owner of the key, or was exported for servers.
 * @throws {RangeError|UnsupportedError} as in `importPublicKey`.
 */
export async function readBundle(bytes, publicKey) {
  const key = publicKey === undefined ? undefined : await importPublicKey(publicKey);
  try {
    return await parseBundle(bytes, key);
  } catch (error) {
    // A changed byte may lead to any kind of error.
    if (error instanceof BundleError) throw error;
    throw damagedError(/** @type {Error} */ (error).message);
  }
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {CryptoKey} [publicKey]
 * @returns {Promise<Bundle>}
 */
async function parseBundle(bytes, publicKey) {
  const archive = await readArchive(bytes);
  /** @param {string} name */
  const read = (name) => {
    const content = archive.members.get(name);
    if (!content) throw damagedError(`it lacks ${name}`);
    return new TextDecoder().decode(content);
  };
  /** @type {Model} */
  const model = JSON.parse(read(MODEL));
  if (!(ENTRIES_FORMAT <= model.format && model.format <= FORMAT)) {
    throw new BundleError(
      `The model has format ${model.format}, this version reads ${FORMAT}; export its run again.`,
    );
  }
  if (model.batch_size > 1) {
    throw new BundleError(
      `The model takes ${model.batch_size} histories per call, for use on servers; load the ` +
        "model.tflite of the same export.",
    );
  }
  const graph = bytes.slice(0, model.graph.bytes);
  await requireComplete(graph, archive, model);
  if (publicKey !== undefined) await requireSigned(archive, model, publicKey);
  /** @type {{digest: string, values: RawItem[]}} */
  const vocabulary = JSON.parse(read("vocabulary.json"));
  const items = vocabulary.values;
  if (vocabulary.digest !== model.vocabulary.sha256 || items.length !== model.vocabulary.size) {
    throw new BundleError("The vocabulary does not fit the model; export its run again.");
  }
  if (!items.every((item) => typeof item === "string" || Number.isSafeInteger(item))) {
    throw new BundleError(
      "The model has item ids beyond 2^53, which JavaScript cannot represent exactly; write them " +
        "as text.",
    );
  }
  const text =
    model.format === ENTRIES_FORMAT
      ? packEntries(JSON.parse(read("catalogue.json")), items)
      : read("catalogue.jsonl");
  const catalogue = new Catalogue(items, text);
  if (!catalogue.isComplete) throw mismatchError();
  return {
    graph,
    items,
    catalogue,
    model: model.format < FORMAT ? withCurrentNames(model) : model,
    sha256: await sha256(bytes),
  };
}

/**
 * Return the content of an older model.json under the names of today.
 *
 * @param {any} model
 * @returns {Model}
 */
function withCurrentNames({ adapt, evaluation, ...rest }) {
  const { seen_items, ...protocol } = evaluation.protocol;
  return {
    ...rest,
    adapt: adapt && { ...adapt, held_out: adapt.held_back },
    evaluation: {
      ...evaluation,
      protocol: { ...protocol, excludes_history: seen_items === "left out" },
    },
  };
}

/**
 * Convert the list of entries of an older file to the text of a catalogue.
 *
 * @param {Entry[]} entries
 * @param {RawItem[]} items
 */
function packEntries(entries, items) {
  const fits = (/** @type {Entry} */ { id, item }, /** @type {number} */ index) =>
    id === index + 1 && item === items[index];
  if (entries.length !== items.length || !entries.every(fits)) throw mismatchError();
  return packCatalogue(entries);
}

function mismatchError() {
  return new BundleError("The catalogue does not fit the model; export its run again.");
}
