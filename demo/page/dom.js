/** Helpers that make and keep elements. */

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {object} properties what the element has as a property is set as one, the rest as attributes.
 * @param {...(Node|string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
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
 * @param {Element} list
 * @param {object[]} entries
 * @param {(entry: object) => *} keyOf
 * @param {(entry: object) => Element} create makes the element of a new key.
 * @param {(element: Element, entry: object, index: number) => void} update brings it up to date.
 */
export function keep(list, entries, keyOf, create, update) {
  const old = new Map(Array.from(list.children, (child) => [child.dataset.key, child]));
  const keys = new Set(entries.map((entry) => String(keyOf(entry))));
  for (const [key, child] of old) if (!keys.has(key)) child.remove();
  let place = list.firstElementChild;
  entries.forEach((entry, index) => {
    const key = String(keyOf(entry));
    const child = old.get(key) ?? create(entry);
    child.dataset.key = key;
    update(child, entry, index);
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
  });
}
