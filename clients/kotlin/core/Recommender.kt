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
 */
class Recommender private constructor(private val updatable: UpdatableModel) : AutoCloseable {
    /**
     * Creates a recommender that cannot be updated.
     *
     * @param bundle the content of a file.
     * @param engine what runs its graph; `close` closes it.
     */
    constructor(bundle: Bundle, engine: Engine) :
        this(UpdatableModel(LoadedModel(bundle, engine), origin = null))

    /** The content of model.json: shapes, rules, figures. */
    val model: Map<String, Any?> get() = updatable.loaded.model

    /** The raw items of the model, the most popular of its first training first, [V]. */
    val items: List<Any> get() = updatable.loaded.items

    /** `item`, `title`, `genres` and `year` of each item, in the same order, [V]. */
    val catalogue: Catalogue get() = updatable.loaded.catalogue

    /** The features that the model takes beside items. */
    val features: List<InputFeature> get() = updatable.loaded.features

    /** The number of items in the file's own list. */
    val topK: Int get() = updatable.loaded.device.topK

    /** The number of items of a history that the model reads, N. */
    val historyLength: Int get() = updatable.loaded.device.historyLength

    companion object {
        /**
         * Loads a recommender from one file, after verifying its integrity.
         *
         * @param engine creates what runs the graph, such as `::LiteRtEngine`.
         * @throws RecommenderException if the file is not a bundle, has another version, or is
         *     damaged.
         * @throws java.io.IOException if the file cannot be read.
         */
        fun load(file: File, engine: (Bundle) -> Engine): Recommender = load(file, null, engine)

        /**
         * Loads a recommender from a file that its publisher signed.
         *
         * @param publicKey the PEM text of the Ed25519 key of the publisher, which must have signed
         *     this file and those of `update`; null: any file is accepted.
         * @throws RecommenderException as above, or if the file is not signed with the key.
         * @throws java.io.IOException if the file cannot be read.
         */
        fun load(file: File, publicKey: String?, engine: (Bundle) -> Engine): Recommender =
            Recommender(UpdatableModel.load(Origin(file, publicKey, engine)))
    }

    /**
     * Replaces the model by that of another file, while threads call.
     *
     * The new file must be complete, signed if there is a key, not older, and answer. Its content
     * then replaces the file that was loaded. If it is refused, nothing changes. A call is answered
     * by one of the two models; this function returns when the last call of the old model has
     * ended and its memory is free.
     *
     * @param source the new file, such as a download.
     * @param publicKey by default that of `load`.
     * @param rollback whether to accept an older file.
     * @return false if the file is the one in use.
     * @throws RecommenderException if the file is refused.
     * @throws java.io.IOException if it cannot be read, or the old file cannot be replaced.
     */
    fun update(source: File, publicKey: String? = null, rollback: Boolean = false): Boolean =
        updatable.update(source, publicKey, rollback)

    /** Returns whether the model knows an item. */
    fun knows(item: Any): Boolean = updatable.loaded.index.idOf(item) != NO_ITEM

    /** Returns the catalogue entry of an item, null if the model does not know it. */
    fun describe(item: Any): Entry? =
        updatable.loaded.run { catalogue.getOrNull(index.idOf(item) - 1) }

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
    ): List<Recommendation> = updatable.answer { loaded ->
        loaded.requireK(k)
        val built = loaded.requests.build(items, features, exclude, unknown)
        val request = loaded.adapted(built, adapter)
        if (candidates == null) return@answer loaded.rank(listOf(request), k)[0]
        val ids = loaded.index.requireAnyKnown(candidates, "candidates")
        toRecommendations(rankCandidates(loaded.device, request, ids, k), loaded.catalogue)
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
    ): List<List<Recommendation>> = updatable.answer { loaded ->
        loaded.requireK(k)
        loaded.rank(loaded.requests.buildMany(histories, features, exclude, unknown), k)
    }

    /**
     * Returns the k items with the highest cosine similarity to an item, best first.
     *
     * A score is the cosine of the two item embeddings, -1 to 1. The item itself is excluded.
     */
    fun similar(item: Any, k: Int = 10): List<Recommendation> = updatable.answer { loaded ->
        loaded.requireK(k)
        val ranked = loaded.unitVectors.rankSimilar(loaded.index.requireId(item), k)
        toRecommendations(ranked, loaded.catalogue)
    }

    /** Returns the score of each candidate after a history; an unknown one has about -1e9. */
    fun score(
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features = emptyMap(),
        adapter: Adapter? = null,
    ): FloatArray = updatable.answer { loaded ->
        val request = loaded.adapted(loaded.requests.build(items, features), adapter)
        loaded.device.score(request.row, loaded.index.idsOf(candidates))
    }

    /** Predicts the rating of each candidate after a history; null for an unknown one. */
    fun rate(
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features = emptyMap(),
    ): List<Rating?> = updatable.answer { loaded ->
        if (!loaded.device.has("rate")) {
            throw RecommenderException(
                "the model predicts no ratings; train a run with --predict-ratings",
            )
        }
        val values = (loaded.model["ratings"] as List<*>).map { (it as Number).toDouble() }
        candidates.zip(loaded.predict("rate", items, candidates, features)) { item, outputs ->
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
    ): List<Map<String, FloatArray>?> =
        updatable.answer { it.predict(signature, items, candidates, features) }

    /** Returns the query of a history, [D], for retrieval outside the file. */
    fun encode(
        items: Iterable<Any>,
        features: Features = emptyMap(),
        adapter: Adapter? = null,
    ): FloatArray = updatable.answer { loaded ->
        loaded.device.encode(loaded.adapted(loaded.requests.build(items, features), adapter).row)
    }

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
    fun adapt(items: Iterable<Any>, weights: Iterable<Number>? = null): Adapter =
        updatable.answer { loaded ->
            val ids = loaded.index.requireAnyKnown(items, "items")
            val settings = loaded.model["adapt"] as Map<*, *>?
            val learned = loaded.device.adapt(adaptInputs(ids, weights, settings))
            fun loss(name: String) = learned.getValue(name)[0].toDouble()
            Adapter(learned.getValue(ADAPTER), loaded.graphHash, loss("before"), loss("after"))
        }

    /**
     * Returns the embeddings and the biases of all items, in the order of `items`.
     *
     * A score is the product of a query, from `encode`, and an item embedding, plus the bias.
     */
    fun vectors(): ItemEmbeddings = updatable.answer { it.device.vectors(it.allIds) }

    /** Frees the memory of the model, after running calls; it cannot be used afterwards. */
    override fun close() = updatable.close()
}
