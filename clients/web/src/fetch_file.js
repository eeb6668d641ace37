/** URLs of files, and fetching with errors that name the file. */

/** @typedef {string | URL | Uint8Array<ArrayBuffer> | ArrayBuffer} Source URL or content. */

/** Thrown if a file cannot be fetched. */
export class LoadError extends Error {
  name = "LoadError";
}

/**
 * Check whether a source is a URL, not content.
 *
 * @param {Source} source
 * @returns {source is string | URL}
 */
export function isUrl(source) {
  return typeof source === "string" || source instanceof URL;
}

/**
 * Resolve a URL relative to the page or, in a worker, to its script.
 *
 * @param {string | URL} url
 */
export function resolveUrl(url) {
  return new URL(url, globalThis.document?.baseURI ?? location.href).href;
}

/**
 * Fetch a file.
 *
 * @param {string | URL} url
 * @throws {LoadError} the server does not respond, or does not have it.
 */
export async function fetchFile(url) {
  const response = await fetch(url).catch((error) => {
    throw fetchError(url, error);
  });
  if (!response.ok) throw new LoadError(`${url} cannot be fetched (status ${response.status})`);
  return response;
}

/**
 * Fetch the content of a file.
 *
 * @param {string | URL} url
 * @throws {LoadError} as in `fetchFile`.
 */
export async function fetchBytes(url) {
  const response = await fetchFile(url);
  const content = await response.arrayBuffer().catch((error) => {
    throw fetchError(url, error);
  });
  return new Uint8Array(content);
}

/**
 * @param {string | URL} url
 * @param {Error} cause
 */
function fetchError(url, cause) {
  return new LoadError(`${url} cannot be fetched (${cause.message})`, { cause });
}
