/** Features: what a model takes beside the items, and the encoding of a caller's values. */
package jaxrec

/**
 * Values by the name of a feature: a list with a value for each item of the history, in the same
 * order, for a feature of activities; a single value for a feature of the user or of the moment.
 * Values are raw: a String or a number as in the log, or the seconds from an activity to now. Null
 * is unknown.
 */
typealias Features = Map<String, Any?>

// The inputs for an unknown id and for an unknown age; any negative age is unknown.
private const val NO_VALUE = 0.0
private const val NO_AGE = -1.0

// Numbers beyond this magnitude may overflow float32, so they count as unknown.
private const val MAX_NUMBER = 1e38

/**
 * A feature that a model takes beside the items.
 *
 * @property name the name of the feature, as in `Features`.
 * @property of its owner: "activity", "user" or "moment". Features of the moment are `hour`, from
 *     0, and `weekday`, 1 for Monday, in the user's time zone.
 * @property kind "id": one of `values`; "number"; or "age": the seconds from an activity to now.
 * @property values for kind "id", all known values, as in the log; for "number", the edges between
 *     the buckets of numbers that the model does not distinguish.
 */
class InputFeature internal constructor(
    val name: String,
    val of: String,
    val kind: String,
    val values: List<Any>,
) {
    private val ids = values.withIndex().associate { (i, value) -> normalized(value) to i + 1 }

    /** The input for an unknown value. */
    internal val unknown: Double =
        when (kind) {
            "number" -> Double.NaN
            "age" -> NO_AGE
            else -> NO_VALUE
        }

    /**
     * Returns the input for a value.
     *
     * Null, NaN, a value that is not one of `values`, an age below zero, and a number too large for
     * the file are unknown.
     *
     * @throws RecommenderException if a number or an age is expected, and the value is no number.
     */
    internal fun encodeValue(value: Any?): Double {
        if (kind == "id") return ids[normalized(value)]?.toDouble() ?: NO_VALUE
        if (value == null) return unknown
        val expected = if (kind == "number") "a number" else "a number of seconds"
        val number = (value as? Number)?.toDouble() ?: throw RecommenderException(
            "the value ${formatValue(value)} of '$name' is not a number; give $expected, or null " +
                "if it is unknown",
        )
        return when {
            !(Math.abs(number) <= MAX_NUMBER) -> unknown
            kind == "number" -> number
            // Rounded down, so that an activity less than a second in the future has no age.
            else -> Math.floor(number).coerceIn(NO_AGE, Int.MAX_VALUE.toDouble())
        }
    }
}

/** Returns the features in model.json; a file older than features has none. */
internal fun inputFeatures(model: Map<String, Any?>): List<InputFeature> =
    (model["features"] as List<*>?).orEmpty().map {
        val feature = it as Map<*, *>
        InputFeature(
            feature["name"] as String,
            feature["of"] as String,
            feature["kind"] as String,
            (feature["values"] as List<*>).map { value -> value!! },
        )
    }

/**
 * Returns the inputs for the features of a history, a list for those of activities; missing
 * features are unknown.
 *
 * @param count the number of items of the history.
 * @param what the name of the items in messages, in the plural.
 * @throws RecommenderException if the model does not take a feature, or a feature has the wrong
 *     number or kind of values.
 */
internal fun encodeFeatures(
    taken: List<InputFeature>,
    given: Features,
    count: Int,
    what: String,
): Map<String, List<Double>> {
    given.keys.firstOrNull { name -> taken.none { it.name == name } }?.let { other ->
        val names = taken.joinToString { it.name }.ifEmpty { "none" }
        throw RecommenderException("the model has no feature '$other'; it has $names")
    }
    return taken.associate { feature ->
        val value = given[feature.name]
        val inputs = when {
            feature.of != "activity" -> listOf(feature.encodeValue(requireSingle(feature, value)))
            feature.name in given ->
                requirePerItem(feature.name, value, count, what).map(feature::encodeValue)
            else -> List(count) { feature.unknown }
        }
        feature.name to inputs
    }
}

private fun requireSingle(feature: InputFeature, value: Any?): Any? {
    if (value is Iterable<*>) {
        throw RecommenderException(
            "'${feature.name}', a feature of the ${feature.of}, is ${formatValue(value)}; " +
                "give one value",
        )
    }
    return value
}

private fun requirePerItem(name: String, given: Any?, count: Int, what: String): List<Any?> {
    val values = (given as? Iterable<*>)?.toList() ?: throw RecommenderException(
        "the values of '$name' are ${formatValue(given)}, not a list; give listOf($given)",
    )
    if (values.size != count) {
        throw RecommenderException(
            "${values.size} values of '$name' for $count $what; give one for each",
        )
    }
    return values
}
