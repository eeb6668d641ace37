/**
 * The recommender, whose inputs and outputs are raw items.
 *
 *     Recommender.load(File("model.tflite"), ::LiteRtEngine).use { recommender ->
 *         for (each in recommender.recommend(listOf(1193, 661, 914), k = 5)) {
 *             println("${each.item} ${each.title} ${each.score}")
 *         }
 *     }
 */
package jaxrec

import java.io.File

/**
 * A recommender on raw items. Histories run from the oldest to the most recent item.
 *
 * A raw item is a String or a whole number, as in the log; returned numbers are Long. Only the last
 * N known items of a history are read. Unknown items are skipped, but at least one must be known,
 * unless `unknown` is POPULAR; an empty history results in the popular items. Calls leave no state
 * behind, and any number of threads may call at once: the calls take turns.
 *
 * A list has no item of the whole history, unless the file was exported to keep seen items, and is
 * not shorter than k while items are left. Where the file's own list of `topK` is not sufficient,
 * because k is larger or many of its items are excluded, every item is scored, which takes longer.
 *
 * A model that was trained with features takes `features`: by name, a value for each item of the
 * history, or a single one of the user or the moment. Missing features, null, NaN and new values
 * are unknown.
 *
 * Functions throw a RecommenderException for invalid arguments, and an IllegalStateException after
 * `close`.
 *
 * @param bundle the content of a file.
 * @param engine what runs its graph; `close` closes it.
 */
class Recommender(bundle: Bundle, engine: Engine) : AutoCloseable {
    /** The content of model.json: shapes, rules, figures. */
    val model: Map<String, Any?> = bundle.model

    /** The raw items of the model, the most popular of its first training first, [V]. */
    val items: List<Any> = bundle.items

    /** `item`, `title`, `genres` and `year` of each item, in the same order, [V]. */
    val catalogue: Catalogue = bundle.catalogue

    /** The features that the model takes beside items. */
    val features: List<InputFeature> = inputFeatures(bundle.model)

    private val device = DeviceModel(engine, bundle.signatures)

    /** The number of items in the file's own list. */
    val topK: Int = device.topK

    /** The number of items of a history that the model reads, N. */
    val historyLength: Int = device.historyLength

    private val index = ItemIndex(items)
    private val requests =
        RequestBuilder(index, features, device.historyPorts, model.getValue("keep_seen") as Boolean)
    private val graphHash = (model["graph"] as Map<*, *>)["sha256"] as String
    private val allIds = IntArray(items.size) { it + 1 }
    private val unitVectors by lazy { UnitVectors(vectors().vectors, device.width) }

    companion object {
        /**
         * Loads a recommender from one file, after verifying its integrity.
         *
         * @param engine creates what runs the graph, such as `::LiteRtEngine`.
         * @throws RecommenderException if the file is not a bundle, has another version, or is
         *     damaged.
         * @throws java.io.IOException if the file cannot be read.
         */
        fun load(file: File, engine: (Bundle) -> Engine): Recommender {
            val bundle = Bundle.read(file)
            val running = engine(bundle)
            return try {
                Recommender(bundle, running)
            } catch (error: RuntimeException) {
                running.close()
                throw error
            }
        }
    }

    /** Returns whether the model knows an item. */
    fun knows(item: Any): Boolean = index.idOf(item) != NO_ITEM

    /** Returns the catalogue entry of an item, null if the model does not know it. */
    fun describe(item: Any): Entry? = catalogue.getOrNull(index.idOf(item) - 1)

    /**
     * Returns the top k items after a history, best first; ties in the order of `items`.
     *
     * @param items the history.
     * @param k 1 to V.
     * @param exclude the items to exclude in addition to the history.
     * @param candidates the only items to rank; by default every item.
     * @param adapter the adapter of the user, from `adapt`.
     * @param unknown the result for a history of unknown items alone.
     */
    fun recommend(
        items: Iterable<Any>,
        k: Int = 10,
        exclude: Iterable<Any> = emptyList(),
        candidates: Iterable<Any>? = null,
        features: Features = emptyMap(),
        adapter: Adapter? = null,
        unknown: Unknown = Unknown.ERROR,
    ): List<Recommendation> {
        requireK(k)
        val request = requests.build(items, features, exclude, unknown).with(adapter)
        val list = if (candidates == null) {
            rankAll(device, listOf(request), allIds, k)[0]
        } else {
            rankCandidates(device, request, index.requireAnyKnown(candidates, "candidates"), k)
        }
        return toRecommendations(list, catalogue)
    }

    /**
     * Returns for each history the list of `recommend`, in batches of the file's size.
     *
     * @param exclude one collection for each history.
     * @param features one map for each history, which includes the features of its user.
     */
    fun recommendMany(
        histories: Iterable<Iterable<Any>>,
        k: Int = 10,
        exclude: Iterable<Iterable<Any>>? = null,
        features: Iterable<Features>? = null,
        unknown: Unknown = Unknown.ERROR,
    ): List<List<Recommendation>> {
        requireK(k)
        val each = requests.buildMany(histories, features, exclude, unknown)
        return rankAll(device, each, allIds, k).map { toRecommendations(it, catalogue) }
    }

    /**
     * Returns the k items with the highest cosine similarity to an item, best first.
     *
     * A score is the cosine of the two item embeddings, -1 to 1. The item itself is excluded.
     */
    fun similar(item: Any, k: Int = 10): List<Recommendation> {
        requireK(k)
        return toRecommendations(unitVectors.rankSimilar(index.requireId(item), k), catalogue)
    }

    /** Returns the score of each candidate after a history; an unknown one has about -1e9. */
    fun score(
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features = emptyMap(),
        adapter: Adapter? = null,
    ): FloatArray {
        val request = requests.build(items, features).with(adapter)
        return device.score(request.row, index.idsOf(candidates))
    }

    /** Predicts the rating of each candidate after a history; null for an unknown one. */
    fun rate(
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features = emptyMap(),
    ): List<Rating?> {
        if (!device.has("rate")) {
            throw RecommenderException(
                "the model predicts no ratings; train a run with --predict-ratings",
            )
        }
        val values = (model["ratings"] as List<*>).map { (it as Number).toDouble() }
        return candidates.zip(predict("rate", items, candidates, features)) { item, outputs ->
            outputs?.let { toRating(item, it, values) }
        }
    }

    /**
     * Predicts the outputs of a head for each candidate after a history.
     *
     * @param signature the signature of the head.
     * @return the outputs of the head by name; null for an unknown candidate.
     */
    fun predict(
        signature: String,
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features = emptyMap(),
    ): List<Map<String, FloatArray>?> {
        val ids = index.idsOf(candidates)
        val outputs = device.predict(signature, requests.build(items, features).row, ids)
        return ids.indices.map { position ->
            if (ids[position] == NO_ITEM) return@map null
            outputs.mapValues { (_, values) ->
                val width = values.size / ids.size
                values.copyOfRange(position * width, (position + 1) * width)
            }
        }
    }

    /** Returns the query of a history, [D], for retrieval outside the file. */
    fun encode(
        items: Iterable<Any>,
        features: Features = emptyMap(),
        adapter: Adapter? = null,
    ): FloatArray = device.encode(requests.build(items, features).with(adapter).row)

    /**
     * Learns an adapter for a user from the last M known items of a longer history.
     *
     * The last of these are held out: an adapter is kept only if training on the others makes them
     * more likely; otherwise it has no effect. This takes as long as several hundred calls of
     * `recommend`, which wait for it; repeat it when the history has grown considerably.
     *
     * @param items the history.
     * @param weights the weight of each item, 0 or more; by default later items weigh more.
     */
    fun adapt(items: Iterable<Any>, weights: Iterable<Number>? = null): Adapter {
        val ids = index.requireAnyKnown(items, "items")
        val learned = device.adapt(adaptInputs(ids, weights, model["adapt"] as Map<*, *>?))
        fun loss(name: String) = learned.getValue(name)[0].toDouble()
        return Adapter(learned.getValue(ADAPTER), graphHash, loss("before"), loss("after"))
    }

    /**
     * Returns the embeddings and the biases of all items, in the order of `items`.
     *
     * A score is the product of a query, from `encode`, and an item embedding, plus the bias.
     */
    fun vectors(): ItemEmbeddings = device.vectors(allIds)

    /** Frees the memory of the model, after any running call; it cannot be used afterwards. */
    override fun close() = device.close()

    private fun requireK(k: Int) {
        if (k !in 1..items.size) {
            throw RecommenderException("k=$k is out of range; give 1 to ${formatCount(items.size)}")
        }
    }

    private fun Request.with(adapter: Adapter?): Request {
        if (adapter == null) return this
        adapter.requireFit(graphHash, device.width)
        if (ADAPTER !in device.historyPorts) throw withoutAdapt()
        return Request(items, ids, row + (ADAPTER to FloatTensor(adapter.vector)), excluded)
    }
}
