/**
 * Prints the best items after a history.
 *
 *     java ... RecommendKt model.tflite 1193 661 914
 */
import jaxrec.Recommender
import jaxrec.jvm.LiteRtEngine
import java.io.File

fun main(arguments: Array<String>) {
    Recommender.load(File(arguments[0]), ::LiteRtEngine).use { recommender ->
        // A raw item is a number or a string, as in the log.
        val history = arguments.drop(1).map { it.toLongOrNull()?.takeIf(recommender::knows) ?: it }
        for (each in recommender.recommend(history, k = 5)) {
            println("${each.item} ${each.title ?: "(no title)"} ${each.score}")
        }
    }
}
