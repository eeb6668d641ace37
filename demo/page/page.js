/** The page: holds the user's data, runs the models and renders all views. */

import { titleOf } from "jaxrec";
import { AboutView } from "./about_view.js";
import { CatalogueView } from "./catalogue_view.js";
import { byId } from "./dom.js";
import { downloadJson, exportHistory } from "./download.js";
import { moveItem, setItemFeature, toggleExcluded, toggleItem } from "./history.js";
import { HistoryView } from "./history_view.js";
import { adapterStates, canLearn, isOutdated } from "./learning.js";
import { LearningView } from "./learning_view.js";
import { ModelColumn } from "./model_column.js";
import { renderModelPicker } from "./model_picker.js";
import { listModels, measureLatency } from "./models.js";
import { RecommendationsView } from "./recommendations_view.js";
import { watchStorage } from "./storage.js";
import { Toast } from "./toast.js";
import { UserData } from "./user_data.js";
import { collectFeatures, featureLabel, includesAge } from "./user_inputs.js";
import { UserFeaturesView } from "./user_inputs_view.js";

/** @import { InputFeature, RawItem, Recommender } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */
/** @import { ModelResult } from "./model_column.js" */

/** Delay before models are timed, so that rendering and animations of the lists are finished. */
const TIMING_DELAY_MS = 500;

/** State of the page, and the handlers of its controls. */
export class Page {
  /** @type {InputFeature[]} features of the models that are shown. */
  #inputFeatures = [];
  #shownColumns;
  #describe;
  #data;
  /** @type {ModelResult[]} latest results of the models that could be loaded. */
  #results = [];
  /** Number of the latest refresh; results of earlier ones are discarded. */
  #version = 0;
  #catalogueView;
  #aboutView = new AboutView();
  #toast = new Toast();
  #recommendationsView = new RecommendationsView((item) => this.#toggle(item));
  #historyView = new HistoryView({
    remove: (item) => this.#toggle(item),
    move: (item, offset) =>
      this.#setHistory(moveItem(this.#data.entries, item, offset), `Moved ${this.#titleOf(item)}`),
    toggleExcluded: (item) => this.#toggleExcluded(item),
    setFeature: (item, { name }, value) =>
      this.#setHistory(
        setItemFeature(this.#data.entries, item, name, value),
        valueAnnouncement(name, value),
      ),
    clear: () => this.#delete(false, "Your history is cleared."),
    export: () => this.#exportHistory(),
  });
  #learningView = new LearningView({
    learn: () => this.#learn(this.#results.filter(canLearn), "Learned from your history"),
    forget: () => this.#forget(),
    export: () => this.#exportAdapters(),
  });
  #userFeaturesView = new UserFeaturesView(({ name }, value) =>
    this.#refreshStored(this.#data.setUserFeature(name, value), valueAnnouncement(name, value)),
  );

  /**
   * @param {ModelColumn[]} columns the first one is shown first.
   * @param {Recommender} first recommender of the first column; all columns have the same items.
   */
  constructor(columns, first) {
    this.#shownColumns = columns.slice(0, 1);
    this.#describe = (/** @type {RawItem} */ item) => first.describe(item);
    const { dataset } = first.model.evaluation.protocol;
    this.#data = new UserData(dataset);
    watchStorage(dataset, () => this.#reload());
    this.#catalogueView = new CatalogueView(first.catalogue, (item) => this.#toggle(item));
    renderModelPicker(columns, (shown, message) => this.#showColumns(shown, message));
    byId("delete-data").addEventListener("click", () =>
      this.#delete(true, "Your data is deleted."),
    );
  }

  /**
   * Load the first model and render the page.
   *
   * @throws {Error} the list of models or the first model cannot be loaded.
   */
  static async open() {
    const columns = (await listModels()).map((model) => new ModelColumn(model));
    const page = new Page(columns, await columns[0].load());
    await page.#reload();
    byId("loading").hidden = true;
    byId("main").hidden = false;
  }

  /** Load the stored data, also after a change in another tab, and refresh. */
  async #reload() {
    this.#toast.hide();
    this.#data.load();
    await this.#refresh("");
  }

  /** @param {RawItem} item */
  #titleOf(item) {
    return titleOf(this.#describe(item) ?? { item });
  }

  /** @param {RawItem} item */
  #toggle(item) {
    const now = includesAge(this.#inputFeatures) ? Date.now() : undefined;
    const entries = toggleItem(this.#data.entries, item, now);
    const verb = entries.length > this.#data.entries.length ? "Added" : "Removed";
    this.#setHistory(entries, `${verb} ${this.#titleOf(item)}`);
  }

  /** @param {RawItem} item */
  #toggleExcluded(item) {
    const entries = toggleExcluded(this.#data.entries, item);
    const isExcluded = entries.some((entry) => entry.item === item && entry.excluded);
    this.#setHistory(entries, `${isExcluded ? "Without" : "With"} ${this.#titleOf(item)}`);
  }

  /**
   * @param {HistoryEntry[]} entries
   * @param {string} message announcement for screen readers.
   */
  #setHistory(entries, message) {
    this.#refreshStored(this.#data.setEntries(entries), message);
  }

  /**
   * Refresh after a change of stored data.
   *
   * @param {boolean} stored whether the browser stored the change.
   * @param {string} message
   */
  #refreshStored(stored, message) {
    const warning = "This browser does not store your data: it is lost when you close the page";
    return this.#refresh(stored ? message : `${message}. ${warning}`);
  }

  /**
   * Delete the history, and offer to undo it.
   *
   * @param {boolean} withFeatures whether to delete the feature values of the user too.
   * @param {string} message
   */
  #delete(withFeatures, message) {
    const snapshot = this.#data.delete(withFeatures);
    this.#toast.show(message, () => this.#refreshStored(this.#data.restore(snapshot), "Restored"));
    this.#refresh("");
  }

  /**
   * Learn adapters from the history in a worker.
   *
   * @param {ModelResult[]} results results of models that can learn an adapter.
   * @param {string} message
   */
  async #learn(results, message) {
    const learning = this.#data.adapterStore.learn(results);
    this.#refresh("");
    const outcome = await learning;
    if (outcome) this.#refreshStored(outcome.stored, outcome.problem || message);
  }

  #forget() {
    const runs = this.#shownColumns.map(({ model }) => model.run);
    const stored = this.#data.adapterStore.delete(runs);
    this.#refreshStored(stored, "Deleted what the model had learned");
  }

  #exportAdapters() {
    downloadJson(this.#data.adapterStore.adapters, "adapters.json");
    announce("Exported adapters.json");
  }

  #exportHistory() {
    downloadJson(exportHistory(this.#data.entries, this.#describe), "history.json");
    announce("Exported history.json, the oldest item first");
  }

  /**
   * @param {ModelColumn[]} columns
   * @param {string} message
   */
  #showColumns(columns, message) {
    this.#shownColumns = columns;
    for (const column of columns) column.setShown();
    this.#refresh(message);
  }

  /**
   * Run the shown models on the current history and render all views.
   *
   * @param {string} message announcement for screen readers; none if empty.
   */
  async #refresh(message) {
    this.#version += 1;
    const version = this.#version;
    const { entries, userFeatures, adapterStore } = this.#data;
    const { adapters } = adapterStore;
    const all = await Promise.all(
      this.#shownColumns.map((each) => each.recommend(entries, userFeatures, adapters)),
    );
    if (version !== this.#version) return; // a later refresh has started
    const results = all.filter((each) => each.error === undefined);
    this.#results = results;
    const [first] = results;
    this.#inputFeatures = collectFeatures(results.map(({ recommender }) => recommender));
    this.#userFeaturesView.render(this.#inputFeatures, userFeatures);
    this.#catalogueView.markHistory(entries.map(({ item }) => item));
    const historyLength = first?.recommender.historyLength ?? Infinity;
    this.#historyView.render(entries, this.#describe, historyLength, this.#inputFeatures);
    this.#learningView.render(results.flatMap(adapterStates), adapterStore.isLearning);
    this.#recommendationsView.render(all, this.#hintText());
    this.#aboutView.render(results);
    for (const each of all) each.column.setShown(each.error ? undefined : each.recommendations);
    if (first && message) announceTop(first, message);
    // The user asked an older version of the model to learn; repeat it with the new version.
    const outdated = results.filter((each) => canLearn(each) && isOutdated(each));
    if (outdated.length && !adapterStore.isLearning) {
      this.#learn(outdated, "The model was updated and has learned from your history again");
    }
    setTimeout(() => this.#time(results, version), TIMING_DELAY_MS);
  }

  #hintText() {
    const { entries } = this.#data;
    const excluded = entries.filter((entry) => entry.excluded);
    if (excluded.length) {
      const titles = excluded.map(({ item }) => this.#titleOf(item));
      return `Recommendations without ${titles.join(" and ")} in your history.`;
    }
    if (entries.length === 0) return "Popular items, until you add items to your history.";
    return "Tap an item you have already seen to add it to your history.";
  }

  /**
   * Measure and show the time of a recommendation, until the next refresh.
   *
   * @param {ModelResult[]} results
   * @param {number} version
   */
  async #time(results, version) {
    for (const { model, recommender, knownItems, features } of results) {
      if (version !== this.#version) return;
      const latency = await measureLatency(recommender, knownItems, features);
      this.#aboutView.showLatency(model, latency);
    }
  }
}

/** @param {string} message announcement for screen readers. */
function announce(message) {
  byId("status").textContent = message;
}

/**
 * @param {ModelResult} result
 * @param {string} message
 */
function announceTop({ recommendations: [top] }, message) {
  announce(`${message}. Top recommendation: ${top ? titleOf(top) : "no items left"}`);
}

/**
 * Format the announcement of a feature's new value for screen readers.
 *
 * @param {string} name name of a feature.
 * @param {string | number | undefined} value
 */
function valueAnnouncement(name, value) {
  return `The ${featureLabel(name)} is ${value ?? "unknown"}`;
}
