/** A model that is ready to answer: the content of one file, with its graph in the runtime. */

import { CompiledGraph } from "./compiled_graph.js";
import { DeviceModel } from "./interpreter.js";
import { ItemIndex } from "./item_index.js";
import { toRecommendations } from "./recommendation.js";
import { excludedIds, RequestBuilder } from "./request.js";
import { toUnitVectors } from "./similarity.js";
import { rankAll, rankCandidates } from "./top_k.js";
import { adapterInput } from "./user_adapter.js";

/** @import { Bundle } from "./bundle.js" */
/** @import { RawItem } from "./item_index.js" */
/** @import { Runtime } from "./litert.js" */
/** @import { RecommendOptions } from "./options.js" */
/** @import { Request } from "./request.js" */
/** @import { Adapter } from "./user_adapter.js" */

/** The model of one file. Its methods use the graph without interruption by other calls. */
export class LoadedModel {
  /** @type {Float32Array[] | undefined} */
  #unitVectors;

  /**
   * @param {DeviceModel} device
   * @param {Bundle} bundle
   */
  constructor(device, { items, catalogue, model, sha256 }) {
    this.device = device;
    /** Raw items, the most popular of its first training first, [V]. */
    this.items = items;
    this.catalogue = catalogue;
    /** Content of model.json. */
    this.model = model;
    /** Hash of the whole file. */
    this.sha256 = sha256;
    /** Features that it takes in addition to the items; older files have no such field. */
    this.features = model.features ?? [];
    this.itemIndex = new ItemIndex(items);
    this.requests = new RequestBuilder(this.itemIndex, this.features, device.historyPorts);
  }

  /**
   * Compile the graph of a file.
   *
   * @param {Runtime} runtime
   * @param {Bundle} bundle
   */
  static async load(runtime, bundle) {
    const graph = await CompiledGraph.compile(runtime, bundle.graph);
    try {
      return new LoadedModel(new DeviceModel(graph), bundle);
    } catch (error) {
      graph.close();
      throw error;
    }
  }

  /** Item embeddings of length one, computed on first use. */
  get unitVectors() {
    this.#unitVectors ??= toUnitVectors(this.device.vectors(this.itemIndex.ids));
    return this.#unitVectors;
  }

  /**
   * Return the top k items after a history, of all items or of the candidates.
   *
   * @param {Iterable<RawItem>} items history.
   * @param {number} k
   * @param {RecommendOptions} options
   */
  recommend(items, k, options = {}) {
    const request = this.requests.build(items, options);
    const { candidates, adapter } = options;
    if (candidates === undefined) return this.rank(request, k, adapter);
    const ids = this.itemIndex.requireAnyKnown(candidates, "candidates");
    return this.rank(request, k, adapter, ids);
  }

  /**
   * Rank every item, or only the candidates.
   *
   * @param {Request} request
   * @param {number} k
   * @param {Adapter} [adapter]
   * @param {number[]} [candidates] ids.
   */
  rank(request, k, adapter, candidates) {
    const inputs = this.inputs(request, adapter);
    const excluded = excludedIds(request, this.model.keep_seen);
    const list = candidates
      ? rankCandidates(this.device, inputs, candidates, excluded, k)
      : rankAll(this.device, inputs, excluded, k, this.items.length);
    return toRecommendations(list, this.catalogue);
  }

  /**
   * Return the inputs of the graph for a request.
   *
   * @param {Request} request
   * @param {Adapter} [adapter]
   */
  inputs(request, adapter) {
    const inputs = this.requests.inputs(request);
    if (adapter === undefined) return inputs;
    const { sha256 } = this.model.graph;
    return { ...inputs, ...adapterInput(adapter, sha256, this.device.adapterWidth) };
  }

  /** Free the memory of the graph; it cannot be used afterwards. */
  close() {
    this.device.close();
  }
}
