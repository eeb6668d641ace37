/** The history: what a person has seen, the most recent on top, to be reordered and tried out. */

import { titleOf } from "./catalogue_view.js";
import { element, keep } from "./dom.js";

export class HistoryView {
  #list = document.getElementById("seen");
  #hint = document.getElementById("history-hint");
  #tools = document.getElementById("history-tools");
  #actions;

  /**
   * @param {{remove, move, without, clear, export}} actions what the buttons do; the first three
   *     take an item, `move` also the places towards the most recent.
   */
  constructor(actions) {
    this.#actions = actions;
    document.getElementById("clear").addEventListener("click", () => actions.clear());
    document.getElementById("export").addEventListener("click", () => actions.export());
  }

  /**
   * @param {{item, without: boolean}[]} entries the oldest first.
   * @param {Map} described the catalogue's entry of each item.
   * @param {number} length how many items the model reads, N.
   */
  render(entries, described, length) {
    const read = entries.filter(({ item, without }) => !without && described.has(item));
    const last = new Set(read.slice(-length).map(({ item }) => item));
    const focused = this.#focus();
    keep(
      this.#list,
      entries.toReversed(),
      ({ item }) => item,
      ({ item }) => this.#row(item, described.get(item)),
      (row, { item, without }, index) => {
        row.classList.toggle("without", without);
        row.classList.toggle("unread", !without && !last.has(item));
        const { up, down, what } = row.buttons;
        up.disabled = index === 0;
        down.disabled = index === entries.length - 1;
        what.setAttribute("aria-pressed", String(without));
      },
    );
    this.#restore(focused);
    this.#hint.textContent = hint(entries, read.length, length);
    this.#tools.hidden = entries.length === 0;
  }

  #row(item, entry) {
    const title = titleOf(entry ?? { item });
    const note = entry ? (entry.year ?? "") : "unknown to this model";
    const button = (name, text, label, act) => {
      const made = element("button", { type: "button", textContent: text, "aria-label": label });
      made.title = label;
      made.name = name;
      made.addEventListener("click", act);
      return made;
    };
    const buttons = {
      up: button("up", "↑", `${title}: more recent`, () => this.#actions.move(item, 1)),
      down: button("down", "↓", `${title}: less recent`, () => this.#actions.move(item, -1)),
      what: button("what", "What if not?", `What if not? As if you had not seen ${title}`, () =>
        this.#actions.without(item),
      ),
      remove: button("remove", "×", `Remove ${title}`, () => this.#actions.remove(item)),
    };
    const row = element(
      "li",
      {},
      element("span", { className: "title", textContent: title }),
      element("span", { className: "year", textContent: note }),
      element("span", { className: "tools" }, ...Object.values(buttons)),
    );
    row.buttons = buttons;
    return row;
  }

  /** Remember which button has the focus. */
  #focus() {
    const { activeElement } = document;
    const row = activeElement.closest("#seen > li");
    if (!row) return null;
    return { row, index: [...this.#list.children].indexOf(row), button: activeElement };
  }

  /** A row that moved has lost the focus, one that went leaves it to its neighbour. */
  #restore(focused) {
    if (!focused || document.activeElement === focused.button) return;
    const rows = this.#list.children;
    const row = focused.row.isConnected
      ? focused.row
      : rows[Math.min(focused.index, rows.length - 1)];
    const target = row?.buttons[focused.button.name] ?? document.getElementById("search");
    // A button at the end of its way is disabled and cannot be focused.
    (target.disabled ? row.buttons.what : target).focus();
  }
}

function hint(entries, read, length) {
  if (entries.length === 0) return "Nothing yet. Tap a card of the catalogue.";
  if (read > length) return `The model reads the last ${length}; the pale ones are older.`;
  return "The most recent on top: their order counts.";
}
