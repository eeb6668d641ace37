/** Top-k: the highest-scored items after a history, without those that are excluded. */
package jaxrec

/** An item with its score. */
internal class ScoredId(val id: Int, val score: Float)

/**
 * Returns the top k items of each history; among equal scores, lower ids come first.
 *
 * The file's own list is used where at least k of its items are not excluded. For the other
 * histories every item is scored.
 *
 * @param allIds the ids of all items.
 * @return lists of fewer than k items where fewer are left.
 */
internal fun rankAll(
    device: DeviceModel,
    requests: List<Request>,
    allIds: IntArray,
    k: Int,
): List<List<ScoredId>> =
    device.recommend(requests.map { it.row }).zip(requests) { list, request ->
        val allowed = list.ids.indices.filter { list.ids[it] !in request.excluded }.take(k)
        if (allowed.size == k) {
            allowed.map { ScoredId(list.ids[it], list.scores[it]) }
        } else {
            rankCandidates(device, request, allIds, k)
        }
    }

/**
 * Returns the top k of some items, as `rankAll` does.
 *
 * @param candidates their ids, in any order, also repeated.
 */
internal fun rankCandidates(
    device: DeviceModel,
    request: Request,
    candidates: IntArray,
    k: Int,
): List<ScoredId> {
    val allowed = candidates.distinct().filter { it !in request.excluded }.toIntArray()
    return topScored(allowed, device.score(request.row, allowed), k)
}

/** Returns the k ids with the highest scores, best first; among equal scores, lower ids first. */
internal fun topScored(ids: IntArray, scores: FloatArray, k: Int): List<ScoredId> {
    // Sorted as integers, which needs no objects: the score in the upper half, the id in the lower.
    val keys = LongArray(ids.size) {
        descendingKey(scores[it]).toLong().shl(32) or ids[it].toLong()
    }
    keys.sort()
    return keys.take(k).map { ScoredId(it.toInt(), scoreOf(it.shr(32).toInt())) }
}

/** Maps scores to integers in descending order; + 0 makes a negative zero positive. */
private fun descendingKey(score: Float): Int = flip((score + 0f).toRawBits()).inv()

private fun scoreOf(key: Int): Float = Float.fromBits(flip(key.inv()))

/** Orders the bits of floats as integers; its own inverse. */
private fun flip(bits: Int): Int = if (bits < 0) bits xor Int.MAX_VALUE else bits
