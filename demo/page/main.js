/** Start of the page: opens it, and reports errors, offline use and newer releases. */

import { byId } from "./dom.js";
import { registerServiceWorker } from "./offline.js";
import { Page } from "./page.js";
import { enableSheet } from "./sheet.js";

/** @param {Error} error */
function showProblem(error) {
  console.error(error);
  byId("loading").hidden = true;
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

function showOfflineBadge() {
  byId("offline").hidden = false;
}

/** @param {() => void} activate switches to the newer release. */
function offerUpdate(activate) {
  byId("update").hidden = false;
  byId("update").querySelector("button")?.addEventListener("click", activate);
}

enableSheet();
await Page.open().catch(showProblem);
// Also after a failure: a newer release may fix it.
registerServiceWorker(showOfflineBadge, offerUpdate).catch((error) => console.error(error));
