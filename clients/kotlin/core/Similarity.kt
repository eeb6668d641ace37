/** Similarity of items: the cosine of their embeddings. */
package jaxrec

import kotlin.math.sqrt

/** Embeddings of items 1 to V, scaled to length one; zero embeddings stay zero. */
internal class UnitVectors(embeddings: FloatArray, private val width: Int) {
    private val count = embeddings.size / width
    private val values = embeddings.copyOf()

    init {
        for (row in 0 until count) {
            var squares = 0.0
            for (i in row * width until (row + 1) * width) squares += values[i] * values[i]
            val length = if (squares == 0.0) 1f else sqrt(squares).toFloat()
            for (i in row * width until (row + 1) * width) values[i] /= length
        }
    }

    /** Returns the k items with the highest cosine similarity to an item, without the item. */
    fun rankSimilar(id: Int, k: Int): List<ScoredId> {
        val others = (1..count).filter { it != id }.toIntArray()
        val cosines = FloatArray(others.size) { cosine(id, others[it]) }
        return topScored(others, cosines, k)
    }

    private fun cosine(first: Int, second: Int): Float {
        val start = (first - 1) * width
        val other = (second - 1) * width
        var sum = 0f
        for (i in 0 until width) sum += values[start + i] * values[other + i]
        return sum
    }
}
