/** Checks of a file before it is used: it is complete, and signed where a public key is given. */
package jaxrec

import java.security.MessageDigest
import java.security.PublicKey

internal const val MODEL = "model.json"
private const val SIGNATURE = "model.json.sig"

/** Returns the hash of a file or a part of one, in hexadecimal. */
internal fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

/**
 * Checks that the graph and the members are those that model.json describes. Older files have no
 * hashes of members.
 *
 * @throws IllegalArgumentException if a part is missing, is another one, or was added.
 */
internal fun requireComplete(graph: ByteArray, archive: Archive, model: Map<String, Any?>) {
    val graphHash = (model["graph"] as Map<*, *>)["sha256"]
    require(sha256(graph) == graphHash) { "the hash of its graph differs" }
    val hashes = model["members"] as Map<*, *>? ?: return
    require(archive.start == graph.size) { "it has bytes between its graph and its archive" }
    for ((name, hash) in hashes) {
        require(sha256(archive.get(name as String)) == hash) { "the hash of its $name differs" }
    }
    val other = archive.names.find { it !in hashes && it != MODEL && it != SIGNATURE }
    require(other == null) { "$other was added to it" }
}

/**
 * Checks that the owner of a key signed a complete file: the signature is that of its model.json,
 * which has the hashes of all other parts.
 *
 * @param path the file, for messages.
 * @throws RecommenderException if it has no signature, or that of another key or other content.
 */
internal fun requireSigned(
    archive: Archive,
    model: Map<String, Any?>,
    key: PublicKey,
    path: String,
) {
    if ("members" !in model) {
        throw RecommenderException(
            "$path is of an older version, whose files cannot be signed; export its run again",
        )
    }
    val signature = archive.find(SIGNATURE)
        ?: throw RecommenderException("$path is not signed; sign it with `jaxrec sign`")
    if (!isSignedBy(key, signature, archive.get(MODEL))) {
        throw RecommenderException(
            "$path is not signed with this key: its signature is of another key, or of other " +
                "content; sign it again, or give the key of its publisher",
        )
    }
}
