/** The page: holds the user's state, runs the models and renders all views. */

import { showAbout, throughFile } from "./about_view.js";
import { titleOf } from "./catalogue.js";
import { CatalogueView } from "./catalogue_view.js";
import { byId, choice, element } from "./dom.js";
import { counted, move, Shelf, switchWithout, tell, toggle, withValue } from "./history.js";
import { HistoryView } from "./history_view.js";
import { AdapterStore, adapterFor, isOlder, learnersOf, learns } from "./learning.js";
import { LearningView } from "./learning_view.js";
import { ListsView, SHOWN } from "./lists_view.js";
import { listModels, loadModel, timeOf } from "./models.js";
import { keepOffline } from "./offline.js";
import { watch } from "./storage.js";
import { featuresOf, labelOf, takenBy, takesAge } from "./told.js";
import { YouView } from "./told_view.js";

/** @typedef {import("./user_adapter.js").Adapter} Adapter */
/** @typedef {import("./item_index.js").RawItem} Item */
/** @typedef {import("./catalogue.js").Entry} Entry */
/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").InputFeature} TakenFeature */
/** @typedef {import("./history.js").Chosen} Chosen */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommender.js").Recommender} Recommender */
/** @typedef {import("./recommendation.js").Recommendation} Recommendation */
/** @typedef {import("./told.js").Told} Told */

/**
 * @typedef {object} ModelResult result of a model that could be loaded.
 * @property {Named} model
 * @property {Recommender} recommender
 * @property {Item[]} known items of the history that the model knows.
 * @property {Features} features features of the request.
 * @property {Adapter | undefined} learned the user's adapter, of this model or of an older version.
 * @property {Recommendation[]} recommendations
 */

const SIDE_BY_SIDE = "side by side";

/** Delay before models are timed, so that rendering and animations of the lists are finished. */
const TIMING_DELAY_MS = 500;

/** A model of the page, loaded on first use. */
class Column {
  /** @type {Promise<Recommender> | undefined} */
  #loading;

  /** @param {Named} model */
  constructor(model) {
    this.model = model;
    /** @type {Item[] | null} items of its list, best first. */
    this.items = null;
  }

  load() {
    this.#loading ??= loadModel(this.model);
    return this.#loading;
  }
}

/** State of the page, and the handlers of its controls. */
class Page {
  /** @type {Chosen[]} */
  #entries = [];
  /** @type {Told} */
  #user = {};
  /** @type {TakenFeature[]} features of the models that are shown. */
  #features = [];
  #columns;
  #shown;
  #describe;
  #shelf;
  #learned;
  /** @type {ModelResult[]} the latest results. */
  #loaded = [];
  /** Number of the latest refresh; results of earlier ones are discarded. */
  #version = 0;
  #catalogue;
  #lists = new ListsView((item) => this.#toggle(item));
  #history = new HistoryView({
    remove: (item) => this.#toggle(item),
    move: (item, places) => this.#change(move(this.#entries, item, places), "Moved"),
    without: (item) => this.#change(switchWithout(this.#entries, item), "Tried out"),
    tell: (item, { name }, value) =>
      this.#change(tell(this.#entries, item, name, value), valueAnnouncement(name, value)),
    clear: () => this.#change([], "Cleared"),
    export: () => this.#export(),
  });
  #learning = new LearningView({
    learn: () => this.#learn(this.#loaded.filter(learns), "Learned from your history"),
    forget: () => this.#forget(),
    export: () => this.#exportLearned(),
  });
  #you = new YouView(({ name }, value) => this.#setUserFeature(name, value));

  /**
   * @param {Column[]} columns the first one is shown first.
   * @param {Recommender} first recommender of the first column; all columns have the same items.
   */
  constructor(columns, first) {
    this.#columns = columns;
    this.#shown = columns.slice(0, 1);
    this.#describe = (/** @type {Item} */ item) => first.describe(item);
    const { dataset } = first.model.evaluation.protocol;
    this.#shelf = new Shelf(dataset);
    this.#learned = new AdapterStore(dataset);
    watch(dataset, () => this.#reload());
    this.#catalogue = new CatalogueView(first.catalogue, (item) => this.#toggle(item));
    this.#offerModels();
    byId("delete").addEventListener("click", () => this.#delete());
  }

  /** Load the first model and show everything. */
  static async open() {
    const columns = (await listModels()).map((model) => new Column(model));
    const page = new Page(columns, await columns[0].load());
    byId("loading").hidden = true;
    byId("main").hidden = false;
    byId("peek").hidden = false;
    await page.#reload();
  }

  /** Load the stored state, also after a change in another tab, and refresh. */
  async #reload() {
    this.#entries = this.#shelf.load();
    this.#user = this.#shelf.loadUser();
    this.#learned.load();
    await this.#refresh("");
  }

  /** @param {Item} item */
  #toggle(item) {
    const entries = toggle(this.#entries, item, takesAge(this.#features) ? Date.now() : undefined);
    const verb = entries.length > this.#entries.length ? "Added" : "Removed";
    const entry = this.#describe(item);
    this.#change(entries, `${verb} ${entry ? titleOf(entry) : item}`);
  }

  /**
   * @param {Chosen[]} entries
   * @param {string} message announcement for screen readers.
   */
  #change(entries, message) {
    this.#entries = entries;
    // Adapters are deleted with the history from which they were learned.
    if (entries.length === 0) this.#learned.forget();
    this.#showSaved(this.#shelf.save(entries), message);
  }

  /**
   * @param {string} name name of a feature.
   * @param {string | number | undefined} value
   */
  #setUserFeature(name, value) {
    this.#user = withValue(this.#user, name, value);
    this.#showSaved(this.#shelf.saveUser(this.#user), valueAnnouncement(name, value));
  }

  /**
   * @param {boolean} stored whether the browser stored the change.
   * @param {string} message
   */
  #showSaved(stored, message) {
    this.#refresh(stored ? message : `${message}. This browser keeps nothing beyond this visit`);
  }

  #delete() {
    this.#user = {};
    this.#shelf.saveUser({});
    this.#change([], "Your data is deleted");
  }

  /**
   * Fit adapters to the history in a worker.
   *
   * @param {ModelResult[]} results results of models that can fit an adapter.
   * @param {string} message
   */
  async #learn(results, message) {
    const learning = this.#learned.learn(results);
    this.#refresh("");
    const outcome = await learning;
    if (outcome) this.#showSaved(outcome.stored, outcome.problem || message);
  }

  #forget() {
    this.#showSaved(this.#learned.forget(this.#shown.map(({ model }) => model.run)), "Forgotten");
  }

  #exportLearned() {
    this.#download(this.#learned.adapters, "learned.json");
    this.#announce("Exported learned.json");
  }

  /** Download the history as a file. */
  #export() {
    const history = this.#entries.map(({ item, at, told }) => {
      const { title = null, year = null } = this.#describe(item) ?? {};
      return { item, title, year, at: at && new Date(at), told };
    });
    this.#download(history, "history.json");
    this.#announce("Exported history.json, the oldest first");
  }

  /**
   * @param {unknown} content
   * @param {string} name
   */
  #download(content, name) {
    const blob = new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  /**
   * Run the shown models on the current history and render all views.
   *
   * @param {string} message
   */
  async #refresh(message) {
    this.#version += 1;
    const version = this.#version;
    const results = await Promise.all(this.#shown.map((column) => this.#recommend(column)));
    if (version !== this.#version) return; // a later refresh has started
    const loaded = results.filter((result) => result.recommender !== undefined);
    this.#loaded = loaded;
    const [first] = loaded;
    this.#features = takenBy(loaded.map(({ recommender }) => recommender));
    this.#you.render(this.#features, this.#user);
    this.#catalogue.mark(this.#entries.map(({ item }) => item));
    this.#history.render(
      this.#entries,
      this.#describe,
      first?.recommender.historyLength ?? Infinity,
      this.#features,
    );
    this.#learning.render(loaded.flatMap(learnersOf), this.#learned.isLearning);
    this.#lists.render(results);
    for (const { column, recommendations } of results) {
      column.items = recommendations?.slice(0, SHOWN).map(({ item }) => item) ?? null;
    }
    if (first) this.#showTop(first, message);
    // The user asked an older version of the model to learn; repeat the fit with the new version.
    const older = loaded.filter((each) => learns(each) && isOlder(each));
    if (older.length && !this.#learned.isLearning) {
      this.#learn(older, "The model is a newer one, and has learned again");
    }
    setTimeout(() => this.#time(loaded, version), TIMING_DELAY_MS);
  }

  /** @param {Column} column */
  async #recommend(column) {
    const { model, items: before } = column;
    try {
      const recommender = await column.load();
      // The model may know no item of a stored history; `recommend` throws on such a history.
      const read = counted(this.#entries).filter(({ item }) => recommender.knows(item));
      const known = read.map(({ item }) => item);
      const features = featuresOf(recommender.features, read, this.#user, Date.now());
      const learned = this.#learned.adapters[recommender.model.run];
      const options = { features, adapter: adapterFor(recommender, learned) };
      const recommendations = await recommender.recommend(known, recommender.topK, options);
      return {
        column,
        model,
        before,
        recommender,
        known,
        features,
        learned,
        recommendations,
        recall: throughFile(recommender.model),
      };
    } catch (error) {
      return { column, model, before, error: /** @type {Error} */ (error) };
    }
  }

  /**
   * @param {ModelResult} result
   * @param {string} message
   */
  #showTop({ model, recommender, recommendations }, message) {
    showAbout(recommender.model, model);
    const [top] = recommendations;
    const first = top ? titleOf(top) : "nothing is left";
    byId("for-you-hint").textContent = this.#hint();
    byId("peek").replaceChildren(
      element("span", { textContent: "Next" }),
      element("strong", { textContent: first }),
    );
    if (message) this.#announce(`${message}. First for you: ${first}`);
  }

  #hint() {
    const without = this.#entries.filter((entry) => entry.without);
    if (without.length) {
      const titles = without.map(({ item }) => titleOf(this.#describe(item) ?? { item }));
      return `As if you had not seen ${titles.join(" and ")}.`;
    }
    if (this.#entries.length === 0) return "What most people see, until you choose something.";
    return "Tap what you have seen already.";
  }

  /**
   * @param {ModelResult[]} results
   * @param {number} version
   */
  async #time(results, version) {
    for (const { model, recommender, known, features } of results) {
      if (version !== this.#version) return;
      this.#lists.showTime(model, await timeOf(recommender, known, features));
    }
  }

  /** @param {string} words */
  #announce(words) {
    byId("status").textContent = words;
  }

  /** Add the choice of a model, if there are several. */
  #offerModels() {
    if (this.#columns.length < 2) return;
    const offer = (/** @type {string} */ value, /** @type {string} */ text) =>
      choice({ name: "model", value, text, checked: value === "0" });
    const models = byId("models");
    models.append(
      ...this.#columns.map(({ model }, index) => offer(String(index), model.name)),
      offer(SIDE_BY_SIDE, "Side by side"),
    );
    models.hidden = false;
    models.addEventListener("change", ({ target }) => {
      const { value } = /** @type {HTMLInputElement} */ (target);
      const all = value === SIDE_BY_SIDE;
      this.#shown = all ? this.#columns : [this.#columns[Number(value)]];
      for (const column of this.#shown) column.items = null;
      document.body.classList.toggle("side-by-side", all);
      this.#refresh(all ? "All models side by side" : this.#shown[0].model.name);
    });
  }
}

/**
 * Format the announcement of a feature's new value for screen readers.
 *
 * @param {string} name name of a feature.
 * @param {string | number | undefined} value
 */
function valueAnnouncement(name, value) {
  return `The ${labelOf(name)} is ${value ?? "unknown"}`;
}

/** @param {Error} error */
function showProblem(error) {
  console.error(error);
  byId("loading").hidden = true;
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

function showOffline() {
  byId("offline").hidden = false;
}

/** @param {() => void} use */
function offer(use) {
  byId("update").hidden = false;
  byId("update").querySelector("button")?.addEventListener("click", use);
}

await Page.open().catch(showProblem);
// Also after a failure: a newer release may fix it.
keepOffline(showOffline, offer).catch((error) => console.error(error));
