/**
 * Answers calls of a recommender on the standard input, each a line of JSON:
 *
 *     {"model": "plain.tflite", "call": "recommend", "arguments": {"items": ["A"], "k": 3}}
 *
 * with a line {"result": ...} or {"error": "the message"}. The argument names an engine.
 *
 * The call "update" loads the file with the argument `public_key`, updates it from `source`, with
 * `rollback`, and answers with what then is true of the recommender.
 */
package jaxrec

import jaxrec.android.CompiledModelEngine
import jaxrec.jvm.LiteRtEngine
import java.io.File

private val ENGINES = mapOf<String, (Bundle) -> Engine>(
    "LiteRtEngine" to ::LiteRtEngine,
    "CompiledModelEngine" to { bundle -> CompiledModelEngine(bundle) },
)

fun main(arguments: Array<String>) {
    val recommenders = mutableMapOf<String, Recommender>()
    for (line in generateSequence(::readlnOrNull)) {
        val answer = try {
            val request = parseJson(line) as Map<*, *>
            val given = Arguments(request["arguments"] as Map<*, *>)
            val path = request["model"] as String
            val result = when (val call = request["call"] as String) {
                "parse" -> parseJson(given.text("text"))
                "update" -> update(File(path), given, ENGINES.getValue(arguments[0]))
                "read" -> Bundle.read(File(path), given.textOrNull("public_key")).let {
                    listOf(it.items, it.catalogue.toList())
                }
                else -> recommenders.getOrPut(path) {
                    Recommender.load(File(path), ENGINES.getValue(arguments[0]))
                }.answer(call, given)
            }
            mapOf("result" to result)
        } catch (error: IllegalArgumentException) {
            mapOf("error" to error.message)
        }
        println(toJson(answer))
    }
    recommenders.values.forEach { it.close() }
}

/** The arguments of a call; those that are left out have their defaults. */
private class Arguments(private val given: Map<*, *>) {
    val items get() = list("items")!!
    val k get() = (given["k"] as Long?)?.toInt() ?: 10
    val adapter get() = given["adapter"]?.let { Adapter.fromJson(toJson(it)) }
    val unknown get() = Unknown.valueOf((given["unknown"] as String? ?: "error").uppercase())

    val rollback get() = given["rollback"] as Boolean? ?: false

    fun text(name: String) = given[name] as String

    fun textOrNull(name: String) = given[name] as String?

    fun item() = given["item"]!!

    fun list(name: String): List<Any>? = given[name]?.let(::listOfItems)

    fun lists(name: String): List<List<Any>>? = list(name)?.map(::listOfItems)

    fun numbers(name: String): List<Number>? = list(name)?.map { it as Number }

    fun features(): Features = given["features"]?.let(::featuresOf) ?: emptyMap()

    fun eachFeatures(): List<Features>? = list("features")?.map(::featuresOf)
}

/** Returns a value as a list; Kotlin's compiler refuses another argument. */
private fun listOfItems(value: Any): List<Any> {
    require(value is List<*>) { "$value is not a list" }
    return value.map { requireNotNull(it) { "an item is null" } }
}

private fun featuresOf(value: Any): Features = (value as Map<*, *>).mapKeys { it.key as String }

private fun update(file: File, given: Arguments, engine: (Bundle) -> Engine): Map<String, Any?> =
    Recommender.load(file, given.textOrNull("public_key"), engine).use { recommender ->
        val before = recommender.model
        val updated = runCatching {
            recommender.update(File(given.text("source")), rollback = given.rollback)
        }
        mapOf(
            "is_replaced" to updated.getOrNull(),
            "error" to updated.exceptionOrNull()?.let { "${it::class.simpleName}: ${it.message}" },
            "keeps_model" to (recommender.model === before),
            "sequence" to recommender.model["sequence"],
            "list" to recommender.recommend(emptyList(), k = 5),
        )
    }

private fun Recommender.answer(call: String, given: Arguments): Any? = when (call) {
    "recommend" -> recommend(
        given.items,
        given.k,
        given.list("exclude").orEmpty(),
        given.list("candidates"),
        given.features(),
        given.adapter,
        given.unknown,
    )
    "recommend_many" -> recommendMany(
        given.lists("histories")!!,
        given.k,
        given.lists("exclude"),
        given.eachFeatures(),
        given.unknown,
    )
    "similar" -> similar(given.item(), given.k)
    "score" -> score(given.items, given.list("candidates")!!, given.features(), given.adapter)
    "rate" -> rate(given.items, given.list("candidates")!!, given.features())
    "encode" -> encode(given.items, given.features(), given.adapter)
    "describe" -> describe(given.item())?.let {
        mapOf("title" to it.title, "genres" to it.genres, "year" to it.year)
    }
    "knows" -> knows(given.item())
    "adapt" -> adapt(given.items, given.numbers("weights")).let {
        mapOf("vector" to it.vector, "before" to it.before, "after" to it.after)
    }
    "vectors" -> vectors().let { mapOf("vectors" to it.vectors, "biases" to it.biases) }
    "properties" -> mapOf(
        "items" to items,
        "top_k" to topK,
        "history_length" to historyLength,
        "features" to features.map { listOf(it.name, it.of, it.kind, it.values) },
        "model" to model,
    )
    else -> throw IllegalStateException("no call $call")
}

private fun toJson(value: Any?): String = when (value) {
    null, is Boolean, is Number -> value.toString()
    is String -> quote(value)
    is FloatArray -> toJson(value.asList())
    is List<*> -> value.joinToString(",", "[", "]") { toJson(it) }
    is Map<*, *> -> value.entries.joinToString(",", "{", "}") {
        quote(it.key.toString().removeSuffix(".0")) + ":" + toJson(it.value)
    }
    is Recommendation -> toJson(
        mapOf(
            "item" to value.item,
            "score" to value.score,
            "title" to value.title,
            "genres" to value.genres,
            "year" to value.year,
        ),
    )
    is Rating -> toJson(
        mapOf("item" to value.item, "expected" to value.expected, "at_least" to value.atLeast),
    )
    is Entry -> toJson(
        mapOf(
            "id" to value.id,
            "item" to value.item,
            "title" to value.title,
            "genres" to value.genres,
            "year" to value.year,
        ),
    )
    else -> throw IllegalStateException("no JSON for ${value::class}")
}
