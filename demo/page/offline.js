/** Registration of the service worker: offline use, and updates to newer releases. */

import { runtimeBuild } from "jaxrec";

/**
 * Message that activates a waiting worker. It is sent by pages of older releases too, so it must
 * not change.
 */
const ACTIVATE = "use";

/**
 * Register the service worker, which caches this release.
 *
 * @param {() => void} onReady called once the page works without a network.
 * @param {(activate: () => void) => void} onUpdate called when a newer release is completely
 *     cached; `activate` switches to it, which reloads the page.
 */
export async function registerServiceWorker(onReady, onUpdate) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  // The first worker claims a page of its own release; any later one serves another: reload.
  let isControlled = Boolean(workers.controller);
  workers.addEventListener("controllerchange", () => {
    if (isControlled) location.reload();
    isControlled = true;
  });
  const registration = await workers.register(`service_worker.js?build=${runtimeBuild()}`, {
    updateViaCache: "none",
  });
  workers.ready.then(onReady);
  const activate = () => registration.waiting?.postMessage(ACTIVATE);
  // A release cached during the last visit: the user has done nothing yet, so activate it now.
  if (registration.waiting && workers.controller) activate();
  registration.update().catch(() => {}); // offline: the next visit checks again
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => {
      if (installing.state === "installed" && workers.controller) onUpdate(activate);
    });
  });
}
