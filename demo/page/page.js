/** The page: holds what a person has chosen, asks the models, and has every part show it. */

import { showAbout, throughFile } from "./about_view.js";
import { CatalogueView, titleOf } from "./catalogue_view.js";
import { choice, element } from "./dom.js";
import { counted, move, Shelf, switchWithout, toggle } from "./history.js";
import { HistoryView } from "./history_view.js";
import { ListsView, SHOWN } from "./lists_view.js";
import { listModels, loadModel, timeOf } from "./models.js";
import { keepOffline } from "./offline.js";

const SIDE_BY_SIDE = "side by side";

/** When the lists are painted and still: models are timed then, undisturbed. */
const AT_REST_MS = 500;

const $ = (id) => document.getElementById(id);

/** A model of the page, loaded when it is first shown. */
class Column {
  #loading;

  constructor(model) {
    this.model = model;
    this.items = null; // of its list, best first
  }

  load() {
    this.#loading ??= loadModel(this.model);
    return this.#loading;
  }
}

class Page {
  #entries = [];
  #columns;
  #shown;
  #described;
  #shelf;
  #turn = 0;
  #catalogue = new CatalogueView((item) => this.#toggle(item));
  #lists = new ListsView((item) => this.#toggle(item));
  #history = new HistoryView({
    remove: (item) => this.#toggle(item),
    move: (item, places) => this.#change(move(this.#entries, item, places), "Moved"),
    without: (item) => this.#change(switchWithout(this.#entries, item), "Tried out"),
    clear: () => this.#change([], "Cleared"),
    export: () => this.#export(),
  });

  constructor(models) {
    this.#columns = models.map((model) => new Column(model));
    this.#shown = this.#columns.slice(0, 1);
  }

  /** Load the first model and show everything. */
  async open() {
    const { catalogue, model } = await this.#columns[0].load();
    this.#described = new Map(catalogue.map((entry) => [entry.item, entry]));
    this.#shelf = new Shelf(model.evaluation.protocol.dataset);
    this.#shelf.watch(() => this.#reread());
    this.#catalogue.open(catalogue);
    this.#offerModels();
    $("delete").addEventListener("click", () => this.#delete());
    $("loading").hidden = true;
    $("main").hidden = $("peek").hidden = false;
    await this.#reread();
  }

  async #reread() {
    this.#entries = this.#shelf.load();
    await this.#refresh("");
  }

  #toggle(item) {
    const entries = toggle(this.#entries, item);
    const verb = entries.length > this.#entries.length ? "Added" : "Removed";
    const entry = this.#described.get(item);
    this.#change(entries, `${verb} ${entry ? titleOf(entry) : item}`);
  }

  #change(entries, said) {
    this.#entries = entries;
    const keeps = entries.length ? this.#shelf.save(entries) : (this.#shelf.delete(), true);
    this.#refresh(keeps ? said : `${said}. This browser keeps nothing beyond this visit`);
  }

  #delete() {
    this.#entries = [];
    this.#shelf.delete();
    this.#refresh("Your data is deleted");
  }

  /** Give the history to the person as a file. */
  #export() {
    const history = this.#entries.map(({ item }) => {
      const { title = null, year = null } = this.#described.get(item) ?? {};
      return { item, title, year };
    });
    const blob = new Blob([`${JSON.stringify(history, null, 2)}\n`], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(blob), download: "history.json" });
    link.click();
    URL.revokeObjectURL(link.href);
    this.#say("Exported history.json, the oldest first");
  }

  /** Show the history as it is now, and what the models say to it. */
  async #refresh(said) {
    const turn = (this.#turn += 1);
    const items = counted(this.#entries);
    const columns = await Promise.all(this.#shown.map((column) => this.#ask(column, items)));
    if (turn !== this.#turn) return; // a later change was faster
    const first = columns.find(({ error }) => !error);
    this.#catalogue.mark(this.#entries.map(({ item }) => item));
    this.#history.render(
      this.#entries,
      this.#described,
      first?.recommender.historyLength ?? Infinity,
    );
    this.#lists.render(columns);
    for (const { column, recommendations } of columns) {
      column.items = recommendations?.slice(0, SHOWN).map(({ item }) => item) ?? null;
    }
    if (first) this.#describe(first, said);
    setTimeout(() => this.#time(columns, turn), AT_REST_MS);
  }

  async #ask(column, items) {
    const { model, items: before } = column;
    try {
      const recommender = await column.load();
      // Of a history that was kept, this model may know nothing.
      const known = items.filter((item) => recommender.knows(item));
      const recommendations = await recommender.recommend(known, recommender.topK);
      const recall = throughFile(recommender.model);
      return { column, model, before, recommender, known, recommendations, recall };
    } catch (error) {
      return { column, model, before, error };
    }
  }

  #describe({ model, recommender, recommendations }, said) {
    showAbout(recommender.model, model);
    const [top] = recommendations;
    const first = top ? titleOf(top) : "nothing is left";
    $("for-you-hint").textContent = this.#hint();
    $("peek").replaceChildren(
      element("span", { textContent: "Next" }),
      element("strong", { textContent: first }),
    );
    if (said) this.#say(`${said}. First for you: ${first}`);
  }

  #hint() {
    const without = this.#entries.filter((entry) => entry.without);
    if (without.length) {
      const titles = without.map(({ item }) => titleOf(this.#described.get(item) ?? { item }));
      return `As if you had not seen ${titles.join(" and ")}.`;
    }
    if (this.#entries.length === 0) return "What most people see, until you choose something.";
    return "Tap what you have seen already.";
  }

  async #time(columns, turn) {
    for (const { model, recommender, known } of columns) {
      if (!recommender || turn !== this.#turn) continue;
      this.#lists.showTime(model, await timeOf(recommender, known));
    }
  }

  #say(words) {
    $("status").textContent = words;
  }

  /** Let the person choose among the models, if there are several. */
  #offerModels() {
    if (this.#columns.length < 2) return;
    const offer = (value, text) => choice({ name: "model", value, text, checked: value === "0" });
    $("models").append(
      ...this.#columns.map(({ model }, index) => offer(String(index), model.name)),
      offer(SIDE_BY_SIDE, "Side by side"),
    );
    $("models").hidden = false;
    $("models").addEventListener("change", ({ target: { value } }) => {
      const all = value === SIDE_BY_SIDE;
      this.#shown = all ? this.#columns : [this.#columns[value]];
      for (const column of this.#shown) column.items = null;
      document.body.classList.toggle("side-by-side", all);
      this.#refresh(all ? "All models side by side" : this.#shown[0].model.name);
    });
  }
}

function fail(error) {
  console.error(error);
  $("loading").hidden = true;
  $("problem").textContent = error.message;
  $("problem").hidden = false;
}

function offer(use) {
  $("update").hidden = false;
  $("update").querySelector("button").addEventListener("click", use);
}

try {
  const page = new Page(await listModels());
  await page.open();
} catch (error) {
  fail(error);
}
// Also after a failure: a newer release may mend it.
keepOffline(() => ($("offline").hidden = false), offer).catch((error) => console.error(error));
