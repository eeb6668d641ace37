/**
 * Keeps one release of the page in the browser, as a whole or not at all.
 *
 * release.js lists every file with its hash, so that a new model, page or runtime is a new release.
 * What did not change is taken from the release before.
 */

importScripts("release.js");

/** @typedef {{version: string, files: Record<string, string>}} Release the hash of each file. */

const worker = /** @type {ServiceWorkerGlobalScope & {RELEASE: Release}} */ (
  /** @type {unknown} */ (self)
);
const { version, files } = worker.RELEASE;
const build = new URL(worker.location.href).searchParams.get("build");
const PREFIX = `jaxrec ${worker.registration.scope} `;
const CACHE = `${PREFIX}${version} ${build}`;
const HASH = "x-sha256";

/** One build of the runtime is enough for one browser. */
const wanted = Object.keys(files).filter(
  (path) => !path.includes("litert_wasm") || path.startsWith(`runtime/${build}.`),
);

worker.addEventListener("install", (event) => event.waitUntil(fill()));

worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));

worker.addEventListener("message", ({ data }) => {
  if (data === "use") worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const scope = new URL(worker.registration.scope);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const path = pathname.slice(scope.pathname.length) || "index.html";
  if (path in files) event.respondWith(kept(path).then((found) => found ?? fetch(event.request)));
});

/** @param {string} path */
async function kept(path) {
  return (await caches.open(CACHE)).match(path);
}

/** Fetch the release; an error leaves the one before in its place. */
async function fill() {
  const older = (await ownCaches()).filter((name) => name !== CACHE);
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(
      wanted.map(async (path) => {
        await cache.put(path, (await fromOlder(older, path)) ?? (await fromServer(path)));
      }),
    );
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/**
 * Find a file that did not change in the releases before.
 *
 * @param {string[]} names of their caches.
 * @param {string} path
 */
async function fromOlder(names, path) {
  for (const name of names) {
    const found = await (await caches.open(name)).match(path);
    if (found?.headers.get(HASH) === files[path]) return found;
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

async function takeOver() {
  const old = (await ownCaches()).filter((name) => name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function ownCaches() {
  return (await caches.keys()).filter((name) => name.startsWith(PREFIX));
}
