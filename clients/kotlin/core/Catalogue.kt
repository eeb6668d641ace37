/**
 * The catalogue of a file: the title, genres and year of each item, parsed a block at a time.
 *
 * The first line has the number of items, the number of items in a block and the genres. Each
 * further line is a block of columns, in the order of the ids. A genre is an index into those of
 * the first line, and a column without any value is left out.
 */
package jaxrec

/** An item of the catalogue; unknown values are null. */
data class Entry(
    val id: Int,
    val item: Any,
    val title: String?,
    val genres: List<String>?,
    val year: Int?,
)

/** The entries of all items, that of id i at index i - 1. */
class Catalogue private constructor(
    private val items: List<Any>,
    private val blockSize: Int,
    private val genres: List<String>,
    private val blocks: List<Lazy<Map<*, *>>>,
) : AbstractList<Entry>() {
    override val size get() = items.size

    override fun get(index: Int): Entry {
        if (index !in items.indices) throw IndexOutOfBoundsException("$index of $size items")
        val block = blocks[index / blockSize].value
        fun value(column: String) = (block[column] as List<*>?)?.get(index % blockSize)
        val numbers = value("genres") as List<*>?
        return Entry(
            index + 1,
            items[index],
            value("title") as String?,
            numbers?.map { genres[(it as Long).toInt()] },
            (value("year") as Number?)?.toInt(),
        )
    }

    internal companion object {
        /**
         * Reads the content of catalogue.jsonl.
         *
         * @throws IllegalArgumentException if it is for another number of items.
         */
        fun parse(items: List<Any>, text: String): Catalogue {
            val lines = text.trimEnd('\n').split('\n')
            val head = parseJson(lines[0]) as Map<*, *>
            val blockSize = (head["block"] as Long).toInt()
            val blockCount = (items.size + blockSize - 1) / blockSize
            requireSize(items, (head["items"] as Long).toInt())
            require(lines.size - 1 == blockCount) { "its catalogue is not complete" }
            val blocks = lines.drop(1).map { lazy { parseJson(it) as Map<*, *> } }
            return Catalogue(items, blockSize, textsOf(head["genres"]), blocks)
        }

        /** Reads the list of entries of an older file as a single block. */
        fun parseEntries(items: List<Any>, text: String): Catalogue {
            val entries = (parseJson(text) as List<*>).map { it as Map<*, *> }
            requireSize(items, entries.size)
            val genres = entries.flatMap { textsOf(it["genres"]) }.distinct()
            val numberOf = genres.indices.associate { genres[it] to it.toLong() }
            val block = mapOf(
                "title" to entries.map { it["title"] },
                "genres" to entries.map { (it["genres"] as List<*>?)?.map(numberOf::get) },
                "year" to entries.map { it["year"] },
            )
            return Catalogue(items, maxOf(1, items.size), genres, listOf(lazyOf(block)))
        }

        private fun requireSize(items: List<Any>, size: Int) = require(size == items.size) {
            "its catalogue has ${formatCount(size)} items, not ${formatCount(items.size)}"
        }

        private fun textsOf(list: Any?) = (list as List<*>?).orEmpty().map { it as String }
    }
}
