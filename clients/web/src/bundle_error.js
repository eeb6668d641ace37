/** The error for files that cannot be used. */

/**
 * Thrown for a file that is not of jaxrec, has another version, is damaged, inconsistent or older, or
 * lacks a valid signature where a public key is given.
 */
export class BundleError extends Error {
  name = "BundleError";
}

/**
 * Return the error for a file whose content contradicts itself.
 *
 * @param {string} cause
 */
export function damagedError(cause) {
  return new BundleError(
    `The model is damaged (${cause}); copy it again, or export its run again.`,
  );
}
