/** The exception for files and arguments that are not valid. */
package jaxrec

/** Thrown for a file or an argument that is not valid; the message says what to do about it. */
class RecommenderException(message: String) : IllegalArgumentException(message)
