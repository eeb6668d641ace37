/**
 * The calls of LiteRT's Kotlin API for Android that CompiledModelEngine makes, with the names and
 * parameters of LiteRT's sources (litert/kotlin). LiteRT's C library runs the model here.
 */
package com.google.ai.edge.litert

import jaxrec.Bundle
import jaxrec.FloatTensor
import jaxrec.IntTensor
import jaxrec.Port
import jaxrec.Tensor
import jaxrec.jvm.LiteRtEngine
import java.io.File

enum class Accelerator { CPU }

class TensorBuffer internal constructor(port: Port) : AutoCloseable {
    internal var tensor: Tensor =
        if (port.isFloat) FloatTensor(FloatArray(port.size)) else IntTensor(IntArray(port.size))

    fun writeInt(data: IntArray) {
        data.copyInto((tensor as IntTensor).values)
    }

    fun writeFloat(data: FloatArray) {
        data.copyInto((tensor as FloatTensor).values)
    }

    fun readInt(): IntArray = (tensor as IntTensor).values

    fun readFloat(): FloatArray = (tensor as FloatTensor).values

    override fun close() = Unit
}

class CompiledModel private constructor(private val bundle: Bundle) : AutoCloseable {
    private val engine = LiteRtEngine(bundle)

    class Options(vararg val accelerators: Accelerator)

    fun createInputBuffer(inputName: String, signature: String = "") =
        TensorBuffer(bundle.signatures.getValue(signature).inputs.getValue(inputName))

    fun createOutputBuffer(outputName: String, signature: String = "") =
        TensorBuffer(bundle.signatures.getValue(signature).outputs.getValue(outputName))

    fun run(
        inputs: Map<String, TensorBuffer>,
        outputs: Map<String, TensorBuffer>,
        signature: String = "",
    ) {
        val found = engine.run(signature, inputs.mapValues { it.value.tensor })
        outputs.forEach { (name, buffer) -> buffer.tensor = found.getValue(name) }
    }

    override fun close() = engine.close()

    companion object {
        fun create(filePath: String, options: Options): CompiledModel {
            require(options.accelerators.toList() == listOf(Accelerator.CPU))
            return CompiledModel(Bundle.read(File(filePath)))
        }
    }
}
