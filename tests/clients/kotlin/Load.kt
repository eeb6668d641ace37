/** Calls a recommender many times, from several threads and after `close`; prints what happened. */
package jaxrec

import jaxrec.jvm.LiteRtEngine
import java.io.File
import java.util.concurrent.Callable
import java.util.concurrent.Executors

private const val CALLS = 10_000
private const val LOADS = 200

fun main(arguments: Array<String>) {
    val file = File(arguments[0])
    val recommender = Recommender.load(file, ::LiteRtEngine)
    val histories = recommender.items.windowed(3)

    fun callMany(count: Int) =
        repeat(count) { recommender.recommend(histories[it % histories.size]) }
    callMany(CALLS)
    val first = residentKilobytes()
    callMany(CALLS)
    println("kilobytes after $CALLS more calls: ${residentKilobytes() - first}")

    fun loadMany(count: Int) = repeat(count) { Recommender.load(file, ::LiteRtEngine).close() }
    loadMany(LOADS)
    val loaded = residentKilobytes()
    loadMany(LOADS)
    println("kilobytes after $LOADS more loads: ${residentKilobytes() - loaded}")

    val expected = histories.map { recommender.recommend(it) }
    val threads = Executors.newFixedThreadPool(8)
    val tasks = List(8) { Callable { histories.map { recommender.recommend(it) } == expected } }
    println("threads with equal lists: ${threads.invokeAll(tasks).count { it.get() }}")
    threads.shutdown()

    recommender.close()
    recommender.close()
    val error = runCatching { recommender.recommend(histories[0]) }.exceptionOrNull()
    println("after close: ${error!!::class.simpleName}: ${error.message}")
    println("known after close: ${recommender.knows(histories[0][0])}")
}

/** Returns the memory of this process that the system keeps in RAM. */
internal fun residentKilobytes(): Long {
    System.gc()
    val line = File("/proc/self/status").readLines().first { it.startsWith("VmRSS") }
    return line.filter { it.isDigit() }.toLong()
}
