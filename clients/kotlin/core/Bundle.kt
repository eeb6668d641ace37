/**
 * The content of a model file: a flatbuffer followed by a zip archive.
 *
 * The archive has the members vocabulary.json (the raw item of each id), catalogue.jsonl (titles,
 * genres and years), model.json (signatures, shapes, rules; the hash of the flatbuffer) and
 * MODEL_CARD.md.
 */
package jaxrec

import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.io.EOFException
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import java.util.zip.ZipException
import java.util.zip.ZipInputStream

// The version of the layout. In format 2, some keys of model.json have other names; in format 1,
// the catalogue also is a single list of entries. Any other format is refused.
private const val FORMAT = 3L
private const val ENTRIES_FORMAT = 1L

private val RENAMED_ADAPT =
    mapOf("held_back" to "held_out", "rate" to "learning_rate", "decay" to "l2_penalty")

private const val END_OF_DIRECTORY = 0x06054b50
private const val END_BYTES = 22
private const val MAX_COMMENT_BYTES = 0xffff

// A limit against zip bombs; members of a file are far smaller.
private const val MAX_MEMBER_BYTES = 1 shl 28

/**
 * The content of one file.
 *
 * @property path the file, for messages and for engines that open it themselves.
 * @property graph the flatbuffer.
 * @property items the raw item of each id, a String or a Long; that of id i at index i - 1.
 * @property model the content of model.json.
 * @property signatures the inputs and outputs of each.
 */
class Bundle internal constructor(
    val path: String,
    val graph: ByteArray,
    val items: List<Any>,
    val catalogue: Catalogue,
    val model: Map<String, Any?>,
) {
    val signatures: Map<String, Signature> = (model["signatures"] as Map<*, *>).entries.associate {
        val (name, ports) = it.key as String to it.value as Map<*, *>
        name to Signature(parsePorts(ports["inputs"]), parsePorts(ports["outputs"]))
    }

    companion object {
        /**
         * Reads a file, and verifies its integrity.
         *
         * @throws RecommenderException if the file is not a bundle, has another version, or is
         *     damaged.
         * @throws java.io.IOException if the file cannot be read.
         */
        fun read(file: File): Bundle = parse(file.readBytes(), file.path)

        /**
         * Parses the content of a file, as `read` does.
         *
         * @throws RecommenderException if the content is not a bundle, has another version, or is
         *     damaged.
         */
        fun parse(content: ByteArray, path: String): Bundle = try {
            parseMembers(content, readMembers(content), path)
        } catch (error: RecommenderException) {
            throw error
        } catch (_: ZipException) {
            throw notABundle(path)
        } catch (_: EOFException) {
            throw notABundle(path)
        } catch (error: Exception) { // a changed byte may lead to any kind of exception
            val cause = error.message?.lineSequence()?.first() ?: error::class.simpleName
            throw RecommenderException("$path is damaged ($cause); export its run again")
        }
    }
}

private fun parseMembers(content: ByteArray, members: Map<String, String>, path: String): Bundle {
    fun member(name: String) = requireNotNull(members[name]) { "it has no $name" }
    val model = (parseJson(member("model.json")) as Map<*, *>).mapKeys { it.key as String }
    val format = model["format"]
    if (format !is Long || format !in ENTRIES_FORMAT..FORMAT) {
        throw RecommenderException(
            "$path has format $format, this version reads $FORMAT; export its run again",
        )
    }
    val about = model["graph"] as Map<*, *>
    val graph = content.copyOfRange(0, minOf(about["bytes"] as Long, content.size.toLong()).toInt())
    if (sha256(graph) != about["sha256"]) {
        throw RecommenderException(
            "$path is damaged (the hash of its graph differs); export its run again",
        )
    }
    val vocabulary = parseJson(member("vocabulary.json")) as Map<*, *>
    val items = (vocabulary["values"] as List<*>).map { requireNotNull(it) { "an item is null" } }
    val catalogue = if (format == ENTRIES_FORMAT) {
        Catalogue.parseEntries(items, member("catalogue.json"))
    } else {
        Catalogue.parse(items, member("catalogue.jsonl"))
    }
    return Bundle(path, graph, items, catalogue, if (format < FORMAT) renameKeys(model) else model)
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

/**
 * Reads the members of an archive at the end of a file, as text.
 *
 * A ZipInputStream is placed at the first member: Android's ZipFile does not open a file that
 * begins with something else, and content need not be a file.
 */
private fun readMembers(content: ByteArray): Map<String, String> {
    val bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
    val last = content.size - END_BYTES
    val end = (last downTo maxOf(0, last - MAX_COMMENT_BYTES))
        .firstOrNull { bytes.getInt(it) == END_OF_DIRECTORY } ?: throw ZipException("no directory")
    val directory = bytes.getInt(end + 16)
    val start = bytes.getInt(directory + 42) // of the first member
    val stream = ZipInputStream(ByteArrayInputStream(content, start, end - start))
    val entries = generateSequence(stream::getNextEntry)
    return entries.associate { it.name to stream.readMember(it.name) }
}

/** Reads one member; the stream verifies its checksum. */
private fun ZipInputStream.readMember(name: String): String {
    val content = ByteArrayOutputStream()
    val buffer = ByteArray(1 shl 16)
    while (true) {
        val count = read(buffer)
        if (count < 0) return content.toString("UTF-8")
        content.write(buffer, 0, count)
        require(content.size() <= MAX_MEMBER_BYTES) { "$name unpacks to too many bytes" }
    }
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

private fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

private fun notABundle(path: String) = RecommenderException(
    "$path is not a jaxrec model, or is truncated; export it with `jaxrec export`",
)
