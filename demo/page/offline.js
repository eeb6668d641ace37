/** Keeping the whole page in the browser, and taking a newer release when there is one. */

import { supportsFeature } from "./runtime/litert.js";

/**
 * Have the service worker keep this release.
 *
 * @param {() => void} ready called once the page works without a network.
 * @param {(use: () => void) => void} offer called when a newer release is there as a whole; `use`
 *     switches to it, which loads the page again.
 */
export async function keepOffline(ready, offer) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  // The first worker takes over a page of its own release; any later one brings another.
  let controlled = Boolean(workers.controller);
  workers.addEventListener("controllerchange", () => {
    if (controlled) location.reload();
    controlled = true;
  });
  const build = (await supportsFeature("relaxedSimd"))
    ? "litert_wasm_internal"
    : "litert_wasm_compat_internal";
  const registration = await workers.register(`service_worker.js?build=${build}`, {
    updateViaCache: "none",
  });
  workers.ready.then(ready);
  const use = () => registration.waiting?.postMessage("use");
  // A release that came while the page was last open: nothing was touched yet, so take it.
  if (registration.waiting && workers.controller) use();
  registration.update().catch(() => {}); // without a network, the next visit asks again
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => {
      if (installing.state === "installed" && workers.controller) offer(use);
    });
  });
}
