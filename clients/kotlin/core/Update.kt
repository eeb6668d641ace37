/** Checks of a model before it replaces another: it is not older, and it answers. */
package jaxrec

/**
 * Checks that a model does not precede the one in use, by `sequence` and then `created`.
 *
 * @param new the content of its model.json.
 * @param current that of the model in use.
 * @param path the new file, for messages.
 * @throws RecommenderException if it does.
 */
internal fun requireNotOlder(new: Map<String, Any?>, current: Map<String, Any?>, path: String) {
    val (place, currentPlace) = placeOf(new) to placeOf(current)
    if (compareValuesBy(place, currentPlace, { it.first }, { it.second }) >= 0) return
    val (text, currentText) = listOf(place, currentPlace).map { (sequence, created) ->
        "sequence $sequence, created ${created.ifEmpty { "at an unknown time" }}"
    }
    throw RecommenderException(
        "$path is older than the model in use: $text, not $currentText; give rollback = true to " +
            "return to it",
    )
}

/** Returns the place of a model among its versions; models without one come first. */
private fun placeOf(model: Map<String, Any?>): Pair<Long, String> =
    Pair(model["sequence"] as? Long ?: 0, model["created"] as? String ?: "")

/**
 * Loads a model, and checks that it recommends to new users and after a history.
 *
 * @param path the new file, for messages.
 * @throws RecommenderException if it cannot be loaded, or returns no valid list.
 */
internal fun loadProven(
    bundle: Bundle,
    createEngine: (Bundle) -> Engine,
    path: String,
): LoadedModel {
    var loaded: LoadedModel? = null
    try {
        return LoadedModel.load(bundle, createEngine).also {
            loaded = it
            requireLists(it)
        }
    } catch (error: Exception) { // of the engine, for a graph that it cannot run
        loaded?.close()
        val cause = error.message?.lineSequence()?.first() ?: error::class.simpleName
        throw RecommenderException("$path does not answer ($cause); export its run again")
    }
}

/** Checks the lists after an empty history, and after the first items. */
private fun requireLists(loaded: LoadedModel) {
    val size = loaded.items.size
    // A model that excludes the history has no item to recommend after a history of all.
    val first = loaded.items.take(minOf(loaded.device.historyLength, size - 1))
    val histories = mapOf("an empty history" to emptyList(), "the first items" to first)
    for ((name, history) in histories) {
        val request = loaded.requests.build(history, emptyMap())
        val list = loaded.rank(listOf(request), minOf(loaded.device.topK, size))[0]
        check(list.isNotEmpty()) { "no item is recommended after $name" }
        check(list.all { it.score.isFinite() }) { "a score after $name is not finite" }
    }
}
