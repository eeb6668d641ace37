/** JSON values in local storage, which the browser may refuse. */

/**
 * Read a value; null if it is missing or cannot be read.
 *
 * @param {string} key
 */
export function readStored(key) {
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
export function writeStored(key, value) {
  try {
    if (value !== null) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
    return true;
  } catch {
    return value === null; // where nothing can be stored, there is nothing to remove
  }
}

/**
 * Call a function whenever another tab has changed the stored values of a data set.
 *
 * @param {string} dataset
 * @param {() => void} onChange
 */
export function watchStorage(dataset, onChange) {
  addEventListener("storage", ({ key }) => {
    if (key === null || key.endsWith(` ${dataset}`)) onChange();
  });
  // A page restored from the back/forward cache has missed these events.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) onChange();
  });
}
