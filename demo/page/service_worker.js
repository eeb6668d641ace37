/**
 * Keeps one release of the page in the browser, as a whole or not at all.
 *
 * release.js lists every file with its hash, so that a new model, page or runtime is a new release.
 * What did not change is taken from the release before.
 */

importScripts("release.js");

const { version, files } = self.RELEASE;
const build = new URL(location.href).searchParams.get("build");
const PREFIX = `jaxrec ${registration.scope} `;
const CACHE = `${PREFIX}${version} ${build}`;
const HASH = "x-sha256";

/** One build of the runtime is enough for one browser. */
const wanted = Object.keys(files).filter(
  (path) => !path.includes("litert_wasm") || path.startsWith(`runtime/${build}.`),
);

addEventListener("install", (event) => event.waitUntil(fill()));

addEventListener("activate", (event) => event.waitUntil(takeOver()));

addEventListener("message", ({ data }) => {
  if (data === "use") skipWaiting();
});

addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const scope = new URL(registration.scope);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const path = pathname.slice(scope.pathname.length) || "index.html";
  if (path in files) event.respondWith(kept(path).then((found) => found ?? fetch(event.request)));
});

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

async function fromOlder(names, path) {
  for (const name of names) {
    const found = await (await caches.open(name)).match(path);
    if (found?.headers.get(HASH) === files[path]) return found;
  }
  return undefined;
}

async function fromServer(path) {
  const response = await fetch(path, { cache: "no-cache" });
  const bytes = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!response.ok || hash !== files[path]) {
    throw new Error(`${path} is not of this release (${response.status})`);
  }
  return new Response(bytes, {
    headers: { "content-type": response.headers.get("content-type"), [HASH]: hash },
  });
}

async function takeOver() {
  const old = (await ownCaches()).filter((name) => name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

async function ownCaches() {
  return (await caches.keys()).filter((name) => name.startsWith(PREFIX));
}
