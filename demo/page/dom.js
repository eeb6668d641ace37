/** Helpers to find, create and update elements. */

/**
 * Return an element of index.html by its id; throw if it is missing or of another kind.
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
 * Create an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} properties set as properties where the element has them, else as
 *     attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in created) Object.assign(created, { [name]: value });
    else created.setAttribute(name, String(value));
  }
  created.append(...children);
  return created;
}

/**
 * Create a radio button with a label, for a fieldset of class chips.
 *
 * @param {{name: string, value: string, text: string, checked: boolean}} options
 */
export function radioChip({ name, value, text, checked }) {
  return element(
    "label",
    {},
    element("input", { type: "radio", name, value, checked }),
    element("span", { textContent: text }),
  );
}

/**
 * Update the children of an element to match the entries. The child of each key is reused, which
 * preserves focus and animations.
 *
 * @template Entry
 * @template {HTMLElement} Child
 * @param {HTMLElement} parent all of its children come from this function.
 * @param {Entry[]} entries
 * @param {(entry: Entry) => unknown} keyOf
 * @param {(entry: Entry) => Child} create creates the child of a new key.
 * @param {(child: Child, entry: Entry, index: number) => void} update renders an entry.
 */
export function updateChildren(parent, entries, keyOf, create, update) {
  const children = /** @type {Child[]} */ ([...parent.children]);
  const old = new Map(children.map((child) => [child.dataset.key ?? "", child]));
  const keys = new Set(entries.map((entry) => String(keyOf(entry))));
  for (const [key, child] of old) if (!keys.has(key)) child.remove();
  let next = parent.firstElementChild;
  entries.forEach((entry, index) => {
    const key = String(keyOf(entry));
    const child = old.get(key) ?? create(entry);
    child.dataset.key = key;
    update(child, entry, index);
    if (child === next) next = child.nextElementSibling;
    else parent.insertBefore(child, next);
  });
}
