/** The zip archive at the end of a file. */
package jaxrec

import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipException
import java.util.zip.ZipInputStream

private const val END_OF_DIRECTORY = 0x06054b50
private const val END_BYTES = 22
private const val MAX_COMMENT_BYTES = 0xffff

// A limit against zip bombs; members of a file are far smaller.
private const val MAX_MEMBER_BYTES = 1 shl 28

/**
 * The content of an archive.
 *
 * @property members the content of each member by name.
 * @property start the position of the first member in the file.
 */
internal class Archive(private val members: Map<String, ByteArray>, val start: Int) {
    val names get() = members.keys

    fun find(name: String): ByteArray? = members[name]

    /** Returns the content of a member; throws an IllegalArgumentException if there is none. */
    fun get(name: String): ByteArray = requireNotNull(members[name]) { "it lacks $name" }

    fun text(name: String): String = get(name).toString(Charsets.UTF_8)
}

/**
 * Reads the archive at the end of a file, and verifies the checksums of its members.
 *
 * A ZipInputStream is placed at the first member: Android's ZipFile does not open a file that
 * begins with something else, and content need not be a file.
 *
 * @throws ZipException or another exception if there is no archive, or it is damaged.
 */
internal fun readArchive(content: ByteArray): Archive {
    val bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
    val last = content.size - END_BYTES
    val end = (last downTo maxOf(0, last - MAX_COMMENT_BYTES))
        .firstOrNull { bytes.getInt(it) == END_OF_DIRECTORY } ?: throw ZipException("no directory")
    val directory = bytes.getInt(end + 16)
    val start = bytes.getInt(directory + 42) // of the first member
    val stream = ZipInputStream(ByteArrayInputStream(content, start, end - start))
    val members = mutableMapOf<String, ByteArray>()
    for (entry in generateSequence(stream::getNextEntry)) {
        val isSecond = members.put(entry.name, stream.readMember(entry.name)) != null
        require(!isSecond) { "it has two members of one name" }
    }
    return Archive(members, start)
}

/** Reads one member; the stream verifies its checksum. */
private fun ZipInputStream.readMember(name: String): ByteArray {
    val content = ByteArrayOutputStream()
    val buffer = ByteArray(1 shl 16)
    while (true) {
        val count = read(buffer)
        if (count < 0) return content.toByteArray()
        content.write(buffer, 0, count)
        require(content.size() <= MAX_MEMBER_BYTES) { "$name unpacks to too many bytes" }
    }
}
