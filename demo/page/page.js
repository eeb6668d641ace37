/** The page: holds what a person has chosen, asks the models, and has every part show it. */

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

/** @typedef {import("./adapter.js").Adapter} Adapter */
/** @typedef {import("./bundle.js").Item} Item */
/** @typedef {import("./catalogue.js").Entry} Entry */
/** @typedef {import("./features.js").Features} Features */
/** @typedef {import("./features.js").TakenFeature} TakenFeature */
/** @typedef {import("./history.js").Chosen} Chosen */
/** @typedef {import("./models.js").Named} Named */
/** @typedef {import("./recommender.js").Recommender} Recommender */
/** @typedef {import("./recommender.js").Recommendation} Recommendation */
/** @typedef {import("./told.js").Told} Told */

/**
 * @typedef {object} Found the answer of a model that could be loaded.
 * @property {Named} model
 * @property {Recommender} recommender
 * @property {Item[]} known the items of the history that the model knows.
 * @property {Features} features what it was told beside them.
 * @property {Adapter | undefined} learned of the person, by this model or by an older one.
 * @property {Recommendation[]} recommendations
 */

const SIDE_BY_SIDE = "side by side";

/** When the lists are painted and still: models are timed then, undisturbed. */
const AT_REST_MS = 500;

/** A model of the page, loaded when it is first shown. */
class Column {
  /** @type {Promise<Recommender> | undefined} */
  #loading;

  /** @param {Named} model */
  constructor(model) {
    this.model = model;
    /** @type {Item[] | null} of its list, best first. */
    this.items = null;
  }

  load() {
    this.#loading ??= loadModel(this.model);
    return this.#loading;
  }
}

class Page {
  /** @type {Chosen[]} */
  #entries = [];
  /** @type {Told} */
  #user = {};
  /** @type {TakenFeature[]} by the models that are shown. */
  #taken = [];
  #columns;
  #shown;
  #describe;
  #shelf;
  #learned;
  /** @type {Found[]} the latest answers. */
  #found = [];
  #turn = 0;
  #catalogue;
  #lists = new ListsView((item) => this.#toggle(item));
  #history = new HistoryView({
    remove: (item) => this.#toggle(item),
    move: (item, places) => this.#change(move(this.#entries, item, places), "Moved"),
    without: (item) => this.#change(switchWithout(this.#entries, item), "Tried out"),
    tell: (item, { name }, value) =>
      this.#change(tell(this.#entries, item, name, value), sentence(name, value)),
    clear: () => this.#change([], "Cleared"),
    export: () => this.#export(),
  });
  #learning = new LearningView({
    learn: () => this.#learn(this.#found.filter(learns), "Learned from your history"),
    forget: () => this.#forget(),
    export: () => this.#exportLearned(),
  });
  #you = new YouView(({ name }, value) => this.#tellUser(name, value));

  /**
   * @param {Column[]} columns the first is shown first.
   * @param {Recommender} first that of the first column; all have its items.
   */
  constructor(columns, first) {
    this.#columns = columns;
    this.#shown = columns.slice(0, 1);
    this.#describe = (/** @type {Item} */ item) => first.describe(item);
    const { dataset } = first.model.evaluation.protocol;
    this.#shelf = new Shelf(dataset);
    this.#learned = new AdapterStore(dataset);
    watch(dataset, () => this.#reread());
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
    await page.#reread();
  }

  async #reread() {
    this.#entries = this.#shelf.load();
    this.#user = this.#shelf.loadUser();
    this.#learned.load();
    await this.#refresh("");
  }

  /** @param {Item} item */
  #toggle(item) {
    const entries = toggle(this.#entries, item, takesAge(this.#taken) ? Date.now() : undefined);
    const verb = entries.length > this.#entries.length ? "Added" : "Removed";
    const entry = this.#describe(item);
    this.#change(entries, `${verb} ${entry ? titleOf(entry) : item}`);
  }

  /**
   * @param {Chosen[]} entries
   * @param {string} said what was done, for the ear.
   */
  #change(entries, said) {
    this.#entries = entries;
    // What was learned from a history is deleted with it.
    if (entries.length === 0) this.#learned.forget();
    this.#saved(this.#shelf.save(entries), said);
  }

  /**
   * @param {string} name of a feature.
   * @param {string | number | undefined} value
   */
  #tellUser(name, value) {
    this.#user = withValue(this.#user, name, value);
    this.#saved(this.#shelf.saveUser(this.#user), sentence(name, value));
  }

  /**
   * @param {boolean} keeps whether the browser does.
   * @param {string} said
   */
  #saved(keeps, said) {
    this.#refresh(keeps ? said : `${said}. This browser keeps nothing beyond this visit`);
  }

  #delete() {
    this.#user = {};
    this.#shelf.saveUser({});
    this.#change([], "Your data is deleted");
  }

  /**
   * Let models learn from the history, beside the page.
   *
   * @param {Found[]} answers of models that can.
   * @param {string} said
   */
  async #learn(answers, said) {
    const learning = this.#learned.learn(answers);
    this.#refresh("");
    const outcome = await learning;
    if (outcome) this.#saved(outcome.stored, outcome.problem || said);
  }

  #forget() {
    this.#saved(this.#learned.forget(this.#shown.map(({ model }) => model.run)), "Forgotten");
  }

  #exportLearned() {
    this.#download(this.#learned.adapters, "learned.json");
    this.#say("Exported learned.json");
  }

  /** Give the history to the person as a file. */
  #export() {
    const history = this.#entries.map(({ item, at, told }) => {
      const { title = null, year = null } = this.#describe(item) ?? {};
      return { item, title, year, at: at && new Date(at), told };
    });
    this.#download(history, "history.json");
    this.#say("Exported history.json, the oldest first");
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
   * Show the history as it is now, and what the models say to it.
   *
   * @param {string} said
   */
  async #refresh(said) {
    this.#turn += 1;
    const turn = this.#turn;
    const answers = await Promise.all(this.#shown.map((column) => this.#ask(column)));
    if (turn !== this.#turn) return; // a later change was faster
    const found = answers.filter((answer) => answer.recommender !== undefined);
    this.#found = found;
    const [first] = found;
    this.#taken = takenBy(found.map(({ recommender }) => recommender));
    this.#you.render(this.#taken, this.#user);
    this.#catalogue.mark(this.#entries.map(({ item }) => item));
    this.#history.render(
      this.#entries,
      this.#describe,
      first?.recommender.historyLength ?? Infinity,
      this.#taken,
    );
    this.#learning.render(found.flatMap(learnersOf), this.#learned.isLearning);
    this.#lists.render(answers);
    for (const { column, recommendations } of answers) {
      column.items = recommendations?.slice(0, SHOWN).map(({ item }) => item) ?? null;
    }
    if (first) this.#sayFirst(first, said);
    // The person wished for what an older model had learned, and the history is still here.
    const older = found.filter((each) => learns(each) && isOlder(each));
    if (older.length && !this.#learned.isLearning) {
      this.#learn(older, "The model is a newer one, and has learned again");
    }
    setTimeout(() => this.#time(found, turn), AT_REST_MS);
  }

  /** @param {Column} column */
  async #ask(column) {
    const { model, items: before } = column;
    try {
      const recommender = await column.load();
      // Of a history that was kept, this model may know nothing.
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
   * @param {Found} answer
   * @param {string} said
   */
  #sayFirst({ model, recommender, recommendations }, said) {
    showAbout(recommender.model, model);
    const [top] = recommendations;
    const first = top ? titleOf(top) : "nothing is left";
    byId("for-you-hint").textContent = this.#hint();
    byId("peek").replaceChildren(
      element("span", { textContent: "Next" }),
      element("strong", { textContent: first }),
    );
    if (said) this.#say(`${said}. First for you: ${first}`);
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
   * @param {Found[]} answers
   * @param {number} turn
   */
  async #time(answers, turn) {
    for (const { model, recommender, known, features } of answers) {
      if (turn !== this.#turn) return;
      this.#lists.showTime(model, await timeOf(recommender, known, features));
    }
  }

  /** @param {string} words */
  #say(words) {
    byId("status").textContent = words;
  }

  /** Let the person choose among the models, if there are several. */
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
 * Say what a model was told, for the ear.
 *
 * @param {string} name of a feature.
 * @param {string | number | undefined} value
 */
function sentence(name, value) {
  return `The ${labelOf(name)} is ${value ?? "unknown"}`;
}

/** @param {Error} error */
function fail(error) {
  console.error(error);
  byId("loading").hidden = true;
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

function sayOffline() {
  byId("offline").hidden = false;
}

/** @param {() => void} use */
function offer(use) {
  byId("update").hidden = false;
  byId("update").querySelector("button")?.addEventListener("click", use);
}

await Page.open().catch(fail);
// Also after a failure: a newer release may mend it.
keepOffline(sayOffline, offer).catch((error) => console.error(error));
