/** Recommended items with their catalogue entries, and predicted ratings. */
package jaxrec

/**
 * One recommended item.
 *
 * @property item the raw item, as in the log: a String or a Long.
 * @property score higher is better; comparable within one list.
 * @property title null if the catalogue has none; the same for `genres` and `year`.
 */
data class Recommendation(
    val item: Any,
    val score: Float,
    val title: String?,
    val genres: List<String>?,
    val year: Int?,
)

/**
 * The predicted rating of an item by a user.
 *
 * @property item the raw item, as given.
 * @property expected the mean of the predicted distribution of ratings.
 * @property atLeast for each rating of the log, the probability of this rating or a higher one.
 */
data class Rating(val item: Any, val expected: Float, val atLeast: Map<Double, Float>)

/**
 * The embeddings of all items; a score is the product of a query and an embedding, plus the bias.
 *
 * @property vectors row-major, [V, D].
 * @property biases [V].
 */
class ItemEmbeddings(val vectors: FloatArray, val biases: FloatArray)

internal fun toRecommendations(list: List<ScoredId>, catalogue: Catalogue) = list.map {
    val entry = catalogue[it.id - 1]
    Recommendation(entry.item, it.score, entry.title, entry.genres, entry.year)
}

/**
 * Converts the outputs of the rating head for one item to a rating.
 *
 * @param values the ratings of the log, ascending.
 */
internal fun toRating(item: Any, outputs: Map<String, FloatArray>, values: List<Double>): Rating {
    val others = outputs.getValue("at_least").toList()
    val probabilities = values.zip(listOf(1f) + others).toMap()
    return Rating(item, outputs.getValue("ratings")[0], probabilities)
}
