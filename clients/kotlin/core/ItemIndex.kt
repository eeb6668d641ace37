/** The raw items of a model and their ids, and the errors for unknown items. */
package jaxrec

import java.util.Locale

/** The id of padding, and of an item that the model does not know. */
internal const val NO_ITEM = 0

/** A mapping from raw items to ids: i for the i-th item, from 1. */
internal class ItemIndex(private val items: List<Any>) {
    private val idOfItem = HashMap<Any?, Int>(items.size * 2).also { ids ->
        items.forEachIndexed { index, item -> ids[item] = index + 1 }
    }

    /** Returns the id of an item, NO_ITEM if the model does not know it. */
    fun idOf(item: Any?): Int = idOfItem[normalized(item)] ?: NO_ITEM

    /**
     * Returns the id of an item.
     *
     * @throws RecommenderException if the model does not know the item.
     */
    fun requireId(item: Any): Int {
        val id = idOf(item)
        if (id == NO_ITEM) {
            throw RecommenderException("unknown item ${formatValue(item)}; ${example()}")
        }
        return id
    }

    /** Returns the id of each item, NO_ITEM for those that the model does not know. */
    fun idsOf(items: Iterable<Any>): IntArray = items.map(::idOf).toIntArray()

    /**
     * Returns the id of each item, as `idsOf` does, and checks that not all are unknown.
     *
     * @param what the name of the items in messages, in the plural.
     * @throws RecommenderException if there are items and all are unknown. The usual cause is that
     *     the log has numbers, and the items are strings.
     */
    fun requireAnyKnown(items: Iterable<Any>, what: String): IntArray {
        val ids = idsOf(items)
        if (ids.isNotEmpty() && ids.all { it == NO_ITEM }) throw allUnknown(what, items.first())
        return ids
    }

    /**
     * Returns the exception for items that are all unknown.
     *
     * @param what the name of the items in the message, in the plural.
     * @param item one of them.
     */
    fun allUnknown(what: String, item: Any) = RecommenderException(
        "all $what are unknown, such as ${formatValue(item)}; ${example()}",
    )

    private fun example() =
        "the model has ${formatCount(items.size)} items, such as ${formatValue(items.first())}"
}

/** Returns a whole number as a Long, as files have it, any other as a Double; others unchanged. */
internal fun normalized(value: Any?): Any? = when (value) {
    is Byte, is Short, is Int -> (value as Number).toLong()
    is Float, is Double -> {
        val number = (value as Number).toDouble()
        if (number == Math.rint(number) && Math.abs(number) < 1e15) number.toLong() else number
    }
    else -> value
}

/** Formats a value as in source code, cut to 60 characters, with its type. */
internal fun formatValue(value: Any?): String {
    val literal = if (value is String) quote(value) else value.toString()
    return "${literal.take(60)} (${value?.let { it::class.simpleName }})"
}

internal fun formatCount(count: Int): String = "%,d".format(Locale.ROOT, count)
