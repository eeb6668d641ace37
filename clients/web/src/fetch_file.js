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
  /** @type {Response} */
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new LoadError(`${url} cannot be fetched (${/** @type {Error} */ (error).message})`, {
      cause: error,
    });
  }
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
  return new Uint8Array(await (await fetchFile(url)).arrayBuffer());
}
