/** Adapters: what a file learned of a user, in the form that an application stores. */
package jaxrec

import kotlin.math.pow

// The version of the layout; a reader refuses any other.
private const val ADAPTER_FORMAT = 1L

private const val REMEDY = "learn it again from the history"

/**
 * The adapter of one user for one file. To forget what was learned, delete it.
 *
 * @property vector added to the query of every history, [D]; zeros if it did not help.
 * @property model the SHA-256 of the graph that learned the vector; no other graph accepts it.
 * @property before the mean cross entropy of the user's last activities, which were held out,
 *     with the model as it was shipped; NaN if none were.
 * @property after the same with an adapter that was learned from the other activities.
 */
class Adapter(val vector: FloatArray, val model: String, val before: Double, val after: Double) {
    /** True if the adapter has an effect; one that did not help was rejected. */
    val isKept: Boolean get() = vector.any { it != 0f }

    /** Returns the adapter as JSON, for an application to store; the layout is that of Python. */
    fun toJson(): String {
        // JSON has no NaN, the value of both losses if nothing was held out.
        fun loss(value: Double) = if (value.isNaN()) "null" else value.toString()
        return """{"format": $ADAPTER_FORMAT, "model": ${quote(model)}, """ +
            """"vector": [${vector.joinToString(", ")}], """ +
            """"before": ${loss(before)}, "after": ${loss(after)}}"""
    }

    /** Compares by content; losses that are NaN in both adapters are equal. */
    override fun equals(other: Any?): Boolean = other is Adapter && toJson() == other.toJson()

    override fun hashCode(): Int = toJson().hashCode()

    /**
     * Checks that the adapter is valid and belongs to a model.
     *
     * @param graph the hash of the graph.
     * @param width the width of a query, D.
     * @throws RecommenderException if it is invalid, or belongs to another model.
     */
    internal fun requireFit(graph: String, width: Int) {
        val mistake = when {
            model != graph ->
                "the adapter belongs to the model ${model.take(12)}, this is ${graph.take(12)}"
            vector.size != width ->
                "the adapter has the shape [${vector.size}], the model takes [$width]"
            !vector.all { it.isFinite() } -> "the adapter has values that are not finite"
            else -> return
        }
        throw RecommenderException("$mistake; $REMEDY")
    }

    companion object {
        /**
         * Parses the output of `toJson`.
         *
         * @throws RecommenderException if the text is not an adapter, or is damaged.
         */
        fun fromJson(text: String): Adapter = try {
            val content = parseJson(text) as Map<*, *>
            fun field(name: String): Any? {
                require(name in content) { "it has no $name" }
                return content[name]
            }
            fun loss(name: String) = (field(name) as Number?)?.toDouble() ?: Double.NaN
            if (field("format") != ADAPTER_FORMAT) {
                throw RecommenderException(
                    "the adapter has format ${field("format")}, this version reads " +
                        "$ADAPTER_FORMAT; $REMEDY",
                )
            }
            val vector = (field("vector") as List<*>).map { (it as Number).toFloat() }
            Adapter(vector.toFloatArray(), field("model") as String, loss("before"), loss("after"))
        } catch (error: RecommenderException) {
            throw error
        } catch (error: RuntimeException) { // of the parser, a missing field, or another type
            throw RecommenderException("this is not an adapter (${error.message}); $REMEDY")
        }
    }
}

/**
 * Returns the inputs of `adapt`: the last M known items, right-aligned, and their weights.
 *
 * @param ids the ids of a history, NO_ITEM for unknown items.
 * @param weights the weight of each item; null: 1 for the last known item, halved for every
 *     `half_life` known items before it.
 * @param settings `adapt` of model.json; null if the file was exported without.
 * @throws RecommenderException if there are no settings, too few items are known, the number of
 *     weights is wrong, or a weight is negative or not a finite number.
 */
internal fun adaptInputs(ids: IntArray, weights: Iterable<Number>?, settings: Map<*, *>?): Row {
    if (settings == null) {
        throw RecommenderException("the file has no signature `adapt`; export its run with --adapt")
    }
    fun setting(name: String) = (settings[name] as Number).toDouble()
    val known = ids.indices.filter { ids[it] != NO_ITEM }
    // The first item is no target, only the history of the second; one more target is trained on.
    val least = setting("held_out").toInt() + 2
    if (known.size < least) {
        throw RecommenderException(
            "items has ${known.size} known items, and an adapter needs $least or more; call this " +
                "with a longer history",
        )
    }
    val given = weights?.let { requireWeights(it, ids.size) }
    val knownWeights = known.mapIndexed { rank, index ->
        given?.get(index) ?: 0.5.pow((known.size - 1 - rank) / setting("half_life")).toFloat()
    }
    val most = setting("activities").toInt()
    val padding = List(maxOf(0, most - known.size)) { 0 }
    return mapOf(
        "activities" to IntTensor((padding + known.takeLast(most).map { ids[it] }).toIntArray()),
        "weights" to FloatTensor((padding.map { 0f } + knownWeights.takeLast(most)).toFloatArray()),
    )
}

private fun requireWeights(weights: Iterable<Number>, count: Int): List<Float> {
    val given = weights.map { it.toFloat() }
    if (given.size != count) {
        throw RecommenderException(
            "weights has ${given.size} entries for $count items; give one each",
        )
    }
    if (!given.all { it.isFinite() && it >= 0 }) {
        throw RecommenderException(
            "weights has values that are negative or not finite; give 0 or more",
        )
    }
    return given
}
