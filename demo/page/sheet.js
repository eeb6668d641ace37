/**
 * The sheet of phones: collapsed it shows the first recommendations, expanded the whole list and
 * the history. On wide screens its parts are a column, and the button that expands it is hidden.
 */

import { byId } from "./dom.js";

const SLIDE_MS = 250;

/** Movement of a pointer that is a drag rather than a tap, and one that expands or collapses. */
const DRAG_PX = 6;
const SWIPE_PX = 48;

/** Start to expand and collapse the sheet by its button, by drags of it, and by Escape. */
export function enableSheet() {
  const sheet = byId("side");
  const toggle = byId("sheet-toggle");
  const isExpanded = () => sheet.classList.contains("expanded");
  const setExpanded = (/** @type {boolean} */ expanded) => {
    const before = sheet.getBoundingClientRect().top;
    sheet.classList.toggle("expanded", expanded);
    sheet.style.transform = "";
    sheet.scrollTop = 0;
    toggle.setAttribute("aria-expanded", String(expanded));
    slideFrom(sheet, before - sheet.getBoundingClientRect().top);
  };

  enableDrag(toggle, sheet, isExpanded, setExpanded);
  byId("scrim").addEventListener("click", () => setExpanded(false));
  // An expanded sheet hides what has the focus behind it.
  byId("main").addEventListener("focusin", ({ target }) => {
    if (isExpanded() && !sheet.contains(/** @type {Node} */ (target))) setExpanded(false);
  });
  addEventListener("keydown", ({ key, defaultPrevented }) => {
    if (key !== "Escape" || defaultPrevented || !isExpanded()) return;
    setExpanded(false);
    toggle.focus();
  });
}

/**
 * Let the sheet follow a drag of its button; a tap on the button, or a key, toggles the sheet.
 *
 * @param {HTMLElement} toggle
 * @param {HTMLElement} sheet
 * @param {() => boolean} isExpanded
 * @param {(expanded: boolean) => void} setExpanded
 */
function enableDrag(toggle, sheet, isExpanded, setExpanded) {
  /** @type {{y: number, top: number, wasExpanded: boolean} | null} state when a drag began. */
  let start = null;
  let distance = 0;
  let isDragEnd = false;
  toggle.addEventListener("pointerdown", ({ pointerId, clientY }) => {
    start = {
      y: clientY,
      top: sheet.getBoundingClientRect().top,
      wasExpanded: isExpanded(),
    };
    distance = 0;
    toggle.setPointerCapture(pointerId);
  });
  toggle.addEventListener("pointermove", ({ clientY }) => {
    if (start === null) return;
    distance = clientY - start.y;
    if (Math.abs(distance) < DRAG_PX) return;
    if (distance < 0) sheet.classList.add("expanded");
    const offset = start.top + distance - (innerHeight - sheet.offsetHeight);
    sheet.style.transform = `translateY(${Math.max(0, offset)}px)`;
  });
  const endDrag = () => {
    if (start === null) return;
    const { wasExpanded } = start;
    start = null;
    if (Math.abs(distance) < DRAG_PX) return;
    setExpanded(Math.abs(distance) < SWIPE_PX ? wasExpanded : distance < 0);
    isDragEnd = true;
    setTimeout(() => {
      isDragEnd = false;
    });
  };
  toggle.addEventListener("pointerup", endDrag);
  toggle.addEventListener("pointercancel", endDrag);
  toggle.addEventListener("click", () => {
    if (!isDragEnd) setExpanded(!isExpanded()); // the end of a drag may be a click too
  });
}

/**
 * Animate the sheet from its previous position.
 *
 * @param {HTMLElement} sheet
 * @param {number} offset of the previous position, in pixels.
 */
function slideFrom(sheet, offset) {
  if (offset === 0 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const from = { transform: `translateY(${offset}px)` };
  sheet.animate([from, {}], { duration: SLIDE_MS, easing: "ease-out" });
}
