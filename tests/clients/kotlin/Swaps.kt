/**
 * Replaces the model of a recommender 20 times while threads call it, and prints how many answers
 * were those of the first file, of the second one, and of neither.
 */
package jaxrec

import jaxrec.jvm.LiteRtEngine
import java.io.File
import java.util.concurrent.Executors
import java.util.concurrent.Future
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicIntegerArray

private const val SWAPS = 20
private const val THREADS = 8
private const val UPDATES = 60

fun main(arguments: Array<String>) {
    val (model, first, second) = arguments.map(::File)
    val files = listOf(first, second)
    val histories = files.map { file -> load(file).use { it.items.take(3) } }
    val history = histories.flatten()
    val calls = listOf<(Recommender) -> Any>(
        { it.recommend(history, k = 5) },
        { it.recommend(history, k = 12) }, // more than one run of the graph
        { it.recommendMany(listOf(history, emptyList()), k = 5) },
        { it.score(history, history).asList() },
        { it.encode(history).asList() },
        { it.vectors().vectors.asList() },
    )
    val expected = files.map { file -> load(file).use { each -> calls.map { it(each) } } }

    first.copyTo(model)
    val recommender = load(model)
    val counts = AtomicIntegerArray(3)
    val threads = Executors.newFixedThreadPool(THREADS)
    val isDone = AtomicBoolean()
    val users: List<Future<*>> = List(THREADS) { user ->
        threads.submit {
            var number = user
            while (!isDone.get()) {
                number = (number + 1) % calls.size
                val found = runCatching { calls[number](recommender) }
                val answer = found.getOrElse { it.toString() }
                val index = expected.indexOfFirst { it[number] == answer }
                counts.incrementAndGet(if (index < 0) 2 else index)
                if (index < 0) println("neither: $answer")
            }
        }
    }
    repeat(SWAPS) { swap ->
        check(recommender.update(files[(swap + 1) % 2], rollback = true))
        Thread.sleep(20)
    }
    isDone.set(true)
    users.forEach { it.get() }
    println("answers of the first file: ${counts[0]}")
    println("answers of the second file: ${counts[1]}")
    println("answers of neither: ${counts[2]}")
    println("the file is the last one: ${model.readBytes().contentEquals(first.readBytes())}")
    println("files left: ${model.absoluteFile.parentFile.list()!!.count { it.endsWith(".part") }}")
    threads.shutdown()

    fun updateMany() =
        repeat(UPDATES) { recommender.update(files[(it + 1) % 2], rollback = true) }
    updateMany()
    val before = residentKilobytes()
    updateMany()
    println("kilobytes after $UPDATES more updates: ${residentKilobytes() - before}")
    recommender.close()
    val error = runCatching { recommender.update(second) }.exceptionOrNull()
    println("after close: ${error!!::class.simpleName}: ${error.message}")
}

private fun load(file: File) = Recommender.load(file, ::LiteRtEngine)
