/**
 * The content of a model file: a flatbuffer followed by a zip archive.
 *
 * The archive has the members vocabulary.json (the raw item of each id), catalogue.jsonl (titles,
 * genres and years), model.json (signatures, shapes, rules; the hashes of the flatbuffer and the
 * members) and MODEL_CARD.md. A signed file also has model.json.sig, the signature of model.json.
 */
package jaxrec

import java.io.EOFException
import java.io.File
import java.security.PublicKey
import java.util.zip.ZipException

// The version of the layout. In format 2, some keys of model.json have other names; in format 1,
// the catalogue also is a single list of entries. Any other format is refused.
private const val FORMAT = 3L
private const val ENTRIES_FORMAT = 1L

private val RENAMED_ADAPT =
    mapOf("held_back" to "held_out", "rate" to "learning_rate", "decay" to "l2_penalty")

/**
 * The content of one file.
 *
 * @property path the file, for messages and for engines that open it themselves.
 * @property graph the flatbuffer.
 * @property items the raw item of each id, a String or a Long; that of id i at index i - 1.
 * @property model the content of model.json.
 * @property hash the hash of the whole file.
 * @property signatures the inputs and outputs of each.
 */
class Bundle internal constructor(
    val path: String,
    val graph: ByteArray,
    val items: List<Any>,
    val catalogue: Catalogue,
    val model: Map<String, Any?>,
    internal val hash: String,
) {
    val signatures: Map<String, Signature> = (model["signatures"] as Map<*, *>).entries.associate {
        val (name, ports) = it.key as String to it.value as Map<*, *>
        name to Signature(parsePorts(ports["inputs"]), parsePorts(ports["outputs"]))
    }

    companion object {
        /**
         * Reads a file, and verifies its integrity.
         *
         * @param publicKey the PEM text of the key of its publisher; null: any file is accepted.
         * @throws RecommenderException if the file is not a bundle, has another version, is
         *     damaged, or is not signed with the key.
         * @throws java.io.IOException if the file cannot be read.
         */
        fun read(file: File, publicKey: String? = null): Bundle =
            parse(file.readBytes(), file.path, publicKey)

        /**
         * Parses the content of a file, as `read` does.
         *
         * @throws RecommenderException as in `read`.
         */
        fun parse(content: ByteArray, path: String, publicKey: String? = null): Bundle {
            val key = publicKey?.let(::parsePublicKey)
            return try {
                parseParts(content, path, key)
            } catch (error: RecommenderException) {
                throw error
            } catch (_: ZipException) {
                throw notABundle(path)
            } catch (_: EOFException) {
                throw notABundle(path)
            } catch (error: Exception) { // a changed byte may lead to any kind of exception
                val cause = error.message?.lineSequence()?.first() ?: error::class.simpleName
                throw RecommenderException(
                    "$path is damaged ($cause); copy it again, or export its run again",
                )
            }
        }
    }

    /** Returns the content with the path of a copy of the file. */
    internal fun at(path: String) = Bundle(path, graph, items, catalogue, model, hash)
}

private fun parseParts(content: ByteArray, path: String, key: PublicKey?): Bundle {
    val archive = readArchive(content)
    val model = (parseJson(archive.text(MODEL)) as Map<*, *>).mapKeys { it.key as String }
    val format = model["format"]
    if (format !is Long || format !in ENTRIES_FORMAT..FORMAT) {
        throw RecommenderException(
            "$path has format $format, this version reads $FORMAT; export its run again",
        )
    }
    val graphBytes = (model["graph"] as Map<*, *>)["bytes"] as Long
    val graph = content.copyOfRange(0, minOf(graphBytes, content.size.toLong()).toInt())
    requireComplete(graph, archive, model)
    if (key != null) requireSigned(archive, model, key, path)
    val vocabulary = parseJson(archive.text("vocabulary.json")) as Map<*, *>
    val items = (vocabulary["values"] as List<*>).map { requireNotNull(it) { "an item is null" } }
    val catalogue = if (format == ENTRIES_FORMAT) {
        Catalogue.parseEntries(items, archive.text("catalogue.json"))
    } else {
        Catalogue.parse(items, archive.text("catalogue.jsonl"))
    }
    val current = if (format < FORMAT) renameKeys(model) else model
    return Bundle(path, graph, items, catalogue, current, sha256(content))
}

/** Replaces the keys of an older model.json by those of today. */
private fun renameKeys(model: Map<String, Any?>): Map<String, Any?> {
    val renamed = model.toMutableMap()
    (model["adapt"] as Map<*, *>?)?.let { adapt ->
        renamed["adapt"] = adapt.mapKeys { (name, _) -> RENAMED_ADAPT[name] ?: name }
    }
    val evaluation = model["evaluation"] as Map<*, *>?
    val protocol = evaluation?.get("protocol") as Map<*, *>?
    if (evaluation != null && protocol != null && "seen_items" in protocol) {
        val excludesHistory = protocol["seen_items"] == "left out"
        renamed["evaluation"] = evaluation +
            ("protocol" to protocol - "seen_items" + ("excludes_history" to excludesHistory))
    }
    return renamed
}

private fun parsePorts(ports: Any?): Map<String, Port> = (ports as Map<*, *>).entries.associate {
    val port = it.value as Map<*, *>
    val isFloat = when (port["dtype"]) {
        "float32" -> true
        "int32" -> false
        else -> throw IllegalArgumentException("${it.key} has the type ${port["dtype"]}")
    }
    val shape = (port["shape"] as List<*>).map { axis -> (axis as Long).toInt() }
    it.key as String to Port(isFloat, shape)
}

private fun notABundle(path: String) = RecommenderException(
    "$path is not a jaxrec model, or is truncated; export it with `jaxrec export`",
)
