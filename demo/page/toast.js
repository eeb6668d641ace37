/** Toast: a message at the lower edge of the page, with a button that undoes a deletion. */

import { byId } from "./dom.js";

/** Time until the toast disappears, unless the user's pointer or focus is on it. */
const TOAST_MS = 10_000;

/** The toast of the page. */
export class Toast {
  #root = byId("toast");
  #text = byId("toast-text");
  #button = byId("undo");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {() => Promise<void>} */
  #undo = async () => {};
  /** @type {Element | null} element that had the focus before the toast. */
  #focused = null;

  constructor() {
    this.#button.addEventListener("click", () => this.#runUndo());
    for (const type of ["pointerenter", "focusin"]) {
      this.#root.addEventListener(type, () => clearTimeout(this.#timer));
    }
    for (const type of ["pointerleave", "focusout"]) {
      this.#root.addEventListener(type, () => this.#startTimer());
    }
  }

  /**
   * Show a message and move the focus to its button.
   *
   * @param {string} message
   * @param {() => Promise<void>} undo called if the user presses the button.
   */
  show(message, undo) {
    this.#undo = undo;
    this.#focused = document.activeElement;
    this.#text.textContent = message;
    this.#button.hidden = false;
    this.#startTimer();
    this.#button.focus();
  }

  /** Hide the toast: its deletion can no longer be undone. */
  hide() {
    clearTimeout(this.#timer);
    this.#text.textContent = "";
    this.#button.hidden = true;
  }

  #startTimer() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), TOAST_MS);
  }

  async #runUndo() {
    const focused = this.#focused;
    this.hide();
    await this.#undo();
    if (focused instanceof HTMLElement) focused.focus();
  }
}
