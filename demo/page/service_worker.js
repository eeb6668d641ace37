/**
 * Service worker: caches one release of the page atomically.
 *
 * release.js lists every file with its hash, so a change of any model, page or runtime file is a
 * new release. Unchanged files are copied from the cache of an older release.
 */

importScripts("release.js");

/** @typedef {{version: string, files: Record<string, string>}} Release hash of each file. */

const worker = /** @type {ServiceWorkerGlobalScope & {RELEASE: Release}} */ (
  /** @type {unknown} */ (self)
);
const { version, files } = worker.RELEASE;
const build = new URL(worker.location.href).searchParams.get("build");
// Older releases use the same prefix, header and message: their caches are reused and deleted.
const PREFIX = `jaxrec ${worker.registration.scope} `;
const CACHE = `${PREFIX}${version} ${build}`;
const HASH_HEADER = "x-sha256";
const ACTIVATE = "use";

/** Paths to cache: of the runtime only the build that this browser uses. */
const cachedPaths = Object.keys(files).filter(
  (path) => !path.includes("litert_wasm") || path.startsWith(`runtime/${build}.`),
);

worker.addEventListener("install", (event) => event.waitUntil(cacheRelease()));

worker.addEventListener("activate", (event) => event.waitUntil(activateRelease()));

worker.addEventListener("message", ({ data }) => {
  if (data === ACTIVATE) worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const scope = new URL(worker.registration.scope);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const path = pathname.slice(scope.pathname.length) || "index.html";
  if (path in files) event.respondWith(respond(event.request, path));
});

/**
 * @param {Request} request
 * @param {string} path
 */
async function respond(request, path) {
  return (await (await caches.open(CACHE)).match(path)) ?? fetch(request);
}

/** Cache the release; on an error, the previous release remains in use. */
async function cacheRelease() {
  const olderCaches = await listOlderCaches();
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(
      cachedPaths.map(async (path) => {
        const unchanged = await matchUnchanged(olderCaches, path);
        await cache.put(path, unchanged ?? (await fetchVerified(path)));
      }),
    );
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/**
 * Return the cached response of an unchanged file from older releases, if there is one.
 *
 * @param {string[]} names names of their caches.
 * @param {string} path
 */
async function matchUnchanged(names, path) {
  for (const name of names) {
    const response = await (await caches.open(name)).match(path);
    if (response?.headers.get(HASH_HEADER) === files[path]) return response;
  }
  return undefined;
}

/**
 * Fetch a file and check its hash.
 *
 * @param {string} path
 */
async function fetchVerified(path) {
  const response = await fetch(path, { cache: "no-cache" });
  const bytes = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!response.ok || hash !== files[path]) {
    throw new Error(`${path} does not belong to this release (${response.status})`);
  }
  return new Response(bytes, {
    headers: { "content-type": response.headers.get("content-type") ?? "", [HASH_HEADER]: hash },
  });
}

/** Delete the caches of older releases, and take control of the open pages. */
async function activateRelease() {
  const olderCaches = await listOlderCaches();
  await Promise.all(olderCaches.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** Return the names of the caches of other releases of this page. */
async function listOlderCaches() {
  const names = await caches.keys();
  return names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
}
