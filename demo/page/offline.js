/** Registration of the service worker: offline use, and updates to newer releases. */

import { supportsFeature } from "./runtime/litert.js";

/**
 * Register the service worker, which caches this release.
 *
 * @param {() => void} ready called once the page works without a network.
 * @param {(use: () => void) => void} offer called when a newer release is completely cached; `use`
 *     switches to it, which reloads the page.
 */
export async function keepOffline(ready, offer) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  // The first worker claims a page of its own release; any later one serves another: reload.
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
  // A release cached during the last visit: the user has done nothing yet, so activate it now.
  if (registration.waiting && workers.controller) use();
  registration.update().catch(() => {}); // offline: the next visit checks again
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => {
      if (installing.state === "installed" && workers.controller) offer(use);
    });
  });
}
