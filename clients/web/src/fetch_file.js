/** URLs of files, and fetching with errors that name the file. */

/** Thrown if a file cannot be fetched. */
export class LoadError extends Error {
  name = "LoadError";
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
