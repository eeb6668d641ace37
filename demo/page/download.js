/** Export of the user's data as files. */

import { element } from "./dom.js";

/** @import { Entry, RawItem } from "jaxrec" */
/** @import { HistoryEntry } from "./history.js" */

/**
 * Download a value as a JSON file.
 *
 * @param {unknown} value
 * @param {string} name name of the file.
 */
export function downloadJson(value, name) {
  const blob = new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: "application/json" });
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/**
 * Describe the entries of a history for export, the oldest first.
 *
 * @param {HistoryEntry[]} entries
 * @param {(item: RawItem) => Entry | undefined} describe returns the catalogue entry of an item.
 */
export function exportHistory(entries, describe) {
  return entries.map(({ item, at, features }) => {
    const { title = null, year = null } = describe(item) ?? {};
    return { item, title, year, at: at && new Date(at), features };
  });
}
