/** Runs the graph of a file: LiteRT on Android, or its C library on the JVM. */
package jaxrec

internal const val HISTORY = "history"
internal const val CANDIDATES = "candidates"
internal const val ITEMS = "items"
internal const val ADAPTER = "adapter"

/** The values of an input or output, row-major. */
sealed class Tensor {
    /** The number of values. */
    abstract val size: Int
}

/** Values of the type int32. */
class IntTensor(val values: IntArray) : Tensor() {
    override val size get() = values.size
}

/** Values of the type float32. */
class FloatTensor(val values: FloatArray) : Tensor() {
    override val size get() = values.size
}

/**
 * An input or output of a signature.
 *
 * @property isFloat true for float32, false for int32.
 * @property shape the first axis is B, the examples of a call.
 */
class Port(val isFloat: Boolean, val shape: List<Int>) {
    /** The number of values. */
    val size: Int = shape.fold(1, Int::times)

    /** The number of values of one example. */
    val width: Int = shape.drop(1).fold(1, Int::times)
}

/** The inputs and outputs of a signature, by name. */
class Signature(val inputs: Map<String, Port>, val outputs: Map<String, Port>)

/** A graph that is ready to run. Its user makes one call at a time, and none after `close`. */
interface Engine : AutoCloseable {
    /**
     * Runs a signature.
     *
     * @param inputs all inputs by name, of the sizes of its ports.
     * @return copies of the outputs by name.
     */
    fun run(signature: String, inputs: Map<String, Tensor>): Map<String, Tensor>

    /** Frees the memory of the graph. */
    override fun close()
}
