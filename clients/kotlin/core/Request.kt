/** Requests: a caller's histories, as the inputs of a file and the items to exclude. */
package jaxrec

// An error names this many histories, so that it stays one readable line.
private const val MAX_NAMED = 5

/** The inputs or outputs of one example, by name. */
internal typealias Row = Map<String, Tensor>

/** The result for a history whose items are all unknown. */
enum class Unknown {
    /** An exception that names one of them. */
    ERROR,

    /** The popular items, as for an empty history. */
    POPULAR,
}

/**
 * One request.
 *
 * @property items the raw items of the history.
 * @property ids the ids of all these items, NO_ITEM for unknown ones.
 * @property row the inputs for the history and its features.
 * @property excluded the ids that a list must not have.
 */
internal class Request(
    val items: List<Any>,
    val ids: IntArray,
    val row: Row,
    val excluded: Set<Int>,
) {
    /** True if the history has items, and all are unknown. */
    val isUnknown: Boolean = ids.isNotEmpty() && ids.all { it == NO_ITEM }
}

/** Builder of a model's requests. */
internal class RequestBuilder(
    private val index: ItemIndex,
    private val features: List<InputFeature>,
    private val ports: Map<String, Port>,
    private val keepSeen: Boolean,
) {
    /**
     * Converts the arguments of a call for one history to a request.
     *
     * @throws RecommenderException if all items of the history are unknown, or the features do not
     *     fit the model.
     */
    fun build(
        items: Iterable<Any>,
        features: Features,
        exclude: Iterable<Any> = emptyList(),
        unknown: Unknown = Unknown.ERROR,
    ): Request {
        val request = convert(items, features, exclude, "items")
        if (unknown == Unknown.ERROR && request.isUnknown) {
            throw index.allUnknown("items", request.items.first())
        }
        return request
    }

    /**
     * Converts the arguments of a call for several histories to requests.
     *
     * @throws RecommenderException as in `build`; the message has the indices of the histories.
     */
    fun buildMany(
        histories: Iterable<Iterable<Any>>,
        features: Iterable<Features>?,
        exclude: Iterable<Iterable<Any>>?,
        unknown: Unknown,
    ): List<Request> {
        val list = histories.toList()
        val eachFeatures = perHistory("features", features, emptyMap(), list.size)
        val eachExclude = perHistory("exclude", exclude, emptyList(), list.size)
        val requests = list.mapIndexed { number, items ->
            convert(items, eachFeatures[number], eachExclude[number], "items of histories[$number]")
        }
        val found = requests.indices.filter { requests[it].isUnknown }
        if (unknown == Unknown.ERROR && found.isNotEmpty()) {
            val names = found.take(MAX_NAMED).joinToString { "[$it]" }
            val rest = found.size - MAX_NAMED
            val more = if (rest > 0) " and ${formatCount(rest)} more" else ""
            val first = requests[found[0]].items.first()
            throw index.allUnknown("items of histories$names$more", first)
        }
        return requests
    }

    /**
     * Converts a history: the inputs are its last N known activities, right-aligned.
     *
     * @param what the name of the items in messages, in the plural.
     */
    private fun convert(
        items: Iterable<Any>,
        features: Features,
        exclude: Iterable<Any>,
        what: String,
    ): Request {
        val list = items.toList()
        val ids = index.idsOf(list)
        val numbers = encodeFeatures(this.features, features, ids.size, what)
        val port = ports.getValue(HISTORY)
        val known = ids.indices.filter { ids[it] != NO_ITEM }.takeLast(port.width)
        val row = mutableMapOf(HISTORY to tensorOf(port, known.map { ids[it].toDouble() }, 0.0))
        for (feature in this.features) {
            val values = numbers.getValue(feature.name)
            val read = if (feature.of == "activity") known.map(values::get) else values
            row[feature.name] = tensorOf(ports.getValue(feature.name), read, feature.unknown)
        }
        val seen = if (keepSeen) emptyList() else ids.asList()
        val excluded = setOf(NO_ITEM) + seen + index.idsOf(exclude).asList()
        return Request(list, ids, row, excluded)
    }
}

/**
 * Returns one value for each of `count` histories, `missing` for all if `values` is null.
 *
 * @throws RecommenderException if the number of values is not `count`.
 */
private fun <T> perHistory(name: String, values: Iterable<T>?, missing: T, count: Int): List<T> {
    val list = values?.toList() ?: return List(count) { missing }
    if (list.size != count) {
        throw RecommenderException(
            "$name has ${list.size} entries for $count histories; give one each",
        )
    }
    return list
}

/** Returns values as the input of one example, right-aligned and padded with `missing`. */
private fun tensorOf(port: Port, values: List<Double>, missing: Double): Tensor {
    val padding = port.width - values.size
    fun value(index: Int) = if (index < padding) missing else values[index - padding]
    return if (port.isFloat) {
        FloatTensor(FloatArray(port.width) { value(it).toFloat() })
    } else {
        IntTensor(IntArray(port.width) { value(it).toInt() })
    }
}
