/** JSON values in local storage, which the browser may refuse. */

/**
 * Read a value; null if it is missing or cannot be read.
 *
 * @param {string} key
 */
export function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * Store a value, or remove it if it is null.
 *
 * @param {string} key
 * @param {object | number | null} value
 * @returns {boolean} whether the browser stored or removed it.
 */
export function write(key, value) {
  try {
    if (value !== null) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
    return true;
  } catch {
    return value === null; // where nothing can be stored, there is nothing to remove
  }
}

/**
 * Call `changed` when another tab has changed the stored values of a data set.
 *
 * @param {string} dataset
 * @param {() => void} changed
 */
export function watch(dataset, changed) {
  addEventListener("storage", ({ key }) => {
    if (key === null || key.endsWith(` ${dataset}`)) changed();
  });
  // A page restored from the back/forward cache has missed these events.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) changed();
  });
}
