/** Local storage, as JSON. A browser may refuse to store anything. */

/**
 * Read a value; null if there is none or it cannot be read.
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
 * @returns {boolean} whether the browser did.
 */
export function write(key, value) {
  try {
    if (value !== null) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
    return true;
  } catch {
    return value === null; // what could not be stored need not be removed
  }
}

/**
 * Call back when another tab has changed what is stored for a data set.
 *
 * @param {string} dataset
 * @param {() => void} changed
 */
export function watch(dataset, changed) {
  addEventListener("storage", ({ key }) => {
    if (key === null || key.endsWith(` ${dataset}`)) changed();
  });
  // A page that comes back by the back button has missed these events.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) changed();
  });
}
