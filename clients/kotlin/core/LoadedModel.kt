/** A model that is ready to answer, and is freed after the calls that run. */
package jaxrec

import java.util.concurrent.locks.ReentrantReadWriteLock
import kotlin.concurrent.read
import kotlin.concurrent.write

/**
 * The model of one file.
 *
 * @param engine what runs its graph; `close` closes it.
 */
internal class LoadedModel(bundle: Bundle, engine: Engine) : AutoCloseable {
    val model: Map<String, Any?> = bundle.model
    val items: List<Any> = bundle.items
    val catalogue: Catalogue = bundle.catalogue
    val features: List<InputFeature> = inputFeatures(bundle.model)

    /** The hash of the whole file. */
    val hash: String = bundle.hash
    val device = DeviceModel(engine, bundle.signatures)
    val index = ItemIndex(items)
    val requests =
        RequestBuilder(index, features, device.historyPorts, model.getValue("keep_seen") as Boolean)
    val graphHash = (model["graph"] as Map<*, *>)["sha256"] as String
    val allIds = IntArray(items.size) { it + 1 }
    val unitVectors by lazy { UnitVectors(device.vectors(allIds).vectors, device.width) }

    private val calls = ReentrantReadWriteLock() // a reader for each call
    private var isClosed = false

    companion object {
        /** Loads the model of a file into an engine, which is closed if that fails. */
        fun load(bundle: Bundle, createEngine: (Bundle) -> Engine): LoadedModel {
            val engine = createEngine(bundle)
            return try {
                LoadedModel(bundle, engine)
            } catch (error: RuntimeException) {
                engine.close()
                throw error
            }
        }
    }

    /** Returns the result of a call, null if the model is closed. */
    fun <T : Any> answer(call: (LoadedModel) -> T): T? =
        calls.read { if (isClosed) null else call(this) }

    /** Frees the memory of the model, after all running calls. */
    override fun close() = calls.write {
        if (!isClosed) device.close()
        isClosed = true
    }

    fun requireK(k: Int) {
        if (k !in 1..items.size) {
            throw RecommenderException("k=$k is out of range; give 1 to ${formatCount(items.size)}")
        }
    }

    /** Returns the request with the adapter, which must be of this model, null for none. */
    fun adapted(request: Request, adapter: Adapter?): Request {
        if (adapter == null) return request
        adapter.requireFit(graphHash, device.width)
        if (ADAPTER !in device.historyPorts) throw withoutAdapt()
        val row = request.row + (ADAPTER to FloatTensor(adapter.vector))
        return Request(request.items, request.ids, row, request.excluded)
    }

    /** Returns the lists of `recommend`, of all items. */
    fun rank(requests: List<Request>, k: Int): List<List<Recommendation>> =
        rankAll(device, requests, allIds, k).map { toRecommendations(it, catalogue) }

    /** Returns the outputs of `Recommender.predict`. */
    fun predict(
        signature: String,
        items: Iterable<Any>,
        candidates: Iterable<Any>,
        features: Features,
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
}
