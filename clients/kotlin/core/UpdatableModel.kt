/** A model that is replaced by newer files while threads call it. */
package jaxrec

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/**
 * The file of a model.
 *
 * @property file the file, which updates replace.
 * @property publicKey the PEM text of the key of its publisher, null if any file is accepted.
 * @property createEngine creates what runs a graph.
 */
internal class Origin(
    val file: File,
    val publicKey: String?,
    val createEngine: (Bundle) -> Engine,
)

/**
 * The model that a recommender answers with, until `update` replaces it.
 *
 * @param origin null if the model was not loaded from a file, so cannot be updated.
 */
internal class UpdatableModel(loaded: LoadedModel, private val origin: Origin?) : AutoCloseable {
    /** The model of now: a call that reads more than one property keeps it. */
    @Volatile
    var loaded: LoadedModel = loaded
        private set

    private var isClosed = false

    companion object {
        fun load(origin: Origin): UpdatableModel {
            val bundle = Bundle.read(origin.file, origin.publicKey)
            return UpdatableModel(LoadedModel.load(bundle, origin.createEngine), origin)
        }
    }

    /**
     * Returns the result of a call. It has one model to its end; an update meanwhile frees that
     * model afterwards.
     */
    fun <T : Any> answer(call: (LoadedModel) -> T): T {
        while (true) {
            val tried = loaded
            tried.answer(call)?.let { return it }
            check(tried !== loaded) { CLOSED } // else it was replaced just now
        }
    }

    /** Replaces the model by that of a file, as `Recommender.update` describes. */
    @Synchronized
    fun update(source: File, publicKey: String?, rollback: Boolean): Boolean {
        check(!isClosed) { CLOSED }
        val origin = checkNotNull(origin) {
            "the recommender was not loaded from a file; use Recommender.load to update it"
        }
        val content = source.readBytes()
        val bundle = Bundle.parse(content, source.path, publicKey ?: origin.publicKey)
        val old = loaded
        if (bundle.hash == old.hash) return false
        if (!rollback) requireNotOlder(bundle.model, old.model, source.path)
        val written = writeBeside(origin.file, content)
        try {
            // Engines that open the file themselves open what was verified, and keep it when it is
            // renamed.
            val new = loadProven(bundle.at(written.path), origin.createEngine, source.path)
            if (!written.renameTo(origin.file)) {
                new.close()
                throw IOException("$written cannot be renamed to ${origin.file}")
            }
            loaded = new
        } finally {
            written.delete() // does nothing once it is renamed
        }
        old.close()
        return true
    }

    /** Frees the memory of the model, after running calls and updates. */
    @Synchronized
    override fun close() {
        isClosed = true
        loaded.close()
    }
}

private const val CLOSED = "the recommender is closed; load the file again"

/** Writes a new file in the folder of another one, to the disk. */
private fun writeBeside(file: File, content: ByteArray): File {
    val written = File.createTempFile("${file.name}.new", ".part", file.absoluteFile.parentFile)
    try {
        FileOutputStream(written).use { stream ->
            stream.write(content)
            stream.fd.sync()
        }
    } catch (error: IOException) {
        written.delete()
        throw error
    }
    return written
}
