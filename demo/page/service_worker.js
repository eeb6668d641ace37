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
const PREFIX = `jaxrec ${worker.registration.scope} `;
const CACHE = `${PREFIX}${version} ${build}`;
const HASH = "x-sha256";

/** Paths to cache: of the runtime only the build that this browser uses. */
const cachedPaths = Object.keys(files).filter(
  (path) => !path.includes("litert_wasm") || path.startsWith(`runtime/${build}.`),
);

worker.addEventListener("install", (event) => event.waitUntil(cacheRelease()));

worker.addEventListener("activate", (event) => event.waitUntil(activateRelease()));

worker.addEventListener("message", ({ data }) => {
  if (data === "use") worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const scope = new URL(worker.registration.scope);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const path = pathname.slice(scope.pathname.length) || "index.html";
  if (path in files) event.respondWith(fromCache(path).then((hit) => hit ?? fetch(event.request)));
});

/** @param {string} path */
async function fromCache(path) {
  return (await caches.open(CACHE)).match(path);
}

/** Cache the release; on an error, the previous release remains in use. */
async function cacheRelease() {
  const older = (await ownCaches()).filter((name) => name !== CACHE);
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(
      cachedPaths.map(async (path) => {
        await cache.put(path, (await fromOlder(older, path)) ?? (await fromServer(path)));
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
async function fromOlder(names, path) {
  for (const name of names) {
    const hit = await (await caches.open(name)).match(path);
    if (hit?.headers.get(HASH) === files[path]) return hit;
  }
  return undefined;
}

/** @param {string} path */
async function fromServer(path) {
  const response = await fetch(path, { cache: "no-cache" });
  const bytes = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!response.ok || hash !== files[path]) {
    throw new Error(`${path} is not of this release (${response.status})`);
  }
  return new Response(bytes, {
    headers: { "content-type": response.headers.get("content-type") ?? "", [HASH]: hash },
  });
}

async function activateRelease() {
  const old = (await ownCaches()).filter((name) => name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function ownCaches() {
  return (await caches.keys()).filter((name) => name.startsWith(PREFIX));
}
