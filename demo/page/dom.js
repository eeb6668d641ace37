/** Helpers that find, make and keep elements. */

/**
 * Find an element that index.html has.
 *
 * @template {HTMLElement} [Found=HTMLElement]
 * @param {string} id
 * @param {new () => Found} [kind]
 * @returns {Found}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`index.html has no such #${id}`);
  return /** @type {Found} */ (found);
}

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} properties what the element has as a property is set as one, the
 *     rest as attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) Object.assign(made, { [name]: value });
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/**
 * Make one of several choices that exclude each other, to stand in a fieldset of class chips.
 *
 * @param {{name: string, value: string, text: string, checked: boolean}} choice
 */
export function choice({ name, value, text, checked }) {
  return element(
    "label",
    {},
    element("input", { type: "radio", name, value, checked }),
    element("span", { textContent: text }),
  );
}

/**
 * Make a list's children say what the entries say, keeping the element of each key, and with it
 * focus and animation.
 *
 * @template Entry
 * @template {HTMLElement} Child
 * @param {HTMLElement} list it holds what was made here, and nothing else.
 * @param {Entry[]} entries
 * @param {(entry: Entry) => unknown} keyOf
 * @param {(entry: Entry) => Child} create makes the element of a new key.
 * @param {(element: Child, entry: Entry, index: number) => void} update brings it up to date.
 */
export function keep(list, entries, keyOf, create, update) {
  const children = /** @type {Child[]} */ ([...list.children]);
  const old = new Map(children.map((child) => [child.dataset.key ?? "", child]));
  const keys = new Set(entries.map((entry) => String(keyOf(entry))));
  for (const [key, child] of old) if (!keys.has(key)) child.remove();
  let place = list.firstElementChild;
  entries.forEach((entry, index) => {
    const key = String(keyOf(entry));
    const child = old.get(key) ?? create(entry);
    child.dataset.key = key;
    update(child, entry, index);
    if (child === place) place = child.nextElementSibling;
    else list.insertBefore(child, place);
  });
}
