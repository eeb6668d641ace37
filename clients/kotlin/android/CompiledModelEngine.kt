/** An engine for Android: LiteRT's CompiledModel, of com.google.ai.edge.litert:litert. */
package jaxrec.android

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer
import jaxrec.Bundle
import jaxrec.Engine
import jaxrec.FloatTensor
import jaxrec.IntTensor
import jaxrec.Port
import jaxrec.Signature
import jaxrec.Tensor

/**
 * A compiled model with one set of buffers for each signature.
 *
 * @param model the model; `close` closes it.
 * @param signatures those of the bundle.
 */
class CompiledModelEngine(
    private val model: CompiledModel,
    private val signatures: Map<String, Signature>,
) : Engine {
    /** Opens the file of a bundle on the CPU. */
    constructor(bundle: Bundle) : this(
        CompiledModel.create(bundle.path, CompiledModel.Options(Accelerator.CPU)),
        bundle.signatures,
    )

    private val inputs = signatures.mapValues { (signature, ports) ->
        ports.inputs.mapValues { (name, _) -> model.createInputBuffer(name, signature) }
    }
    private val outputs = signatures.mapValues { (signature, ports) ->
        ports.outputs.mapValues { (name, _) -> model.createOutputBuffer(name, signature) }
    }

    override fun run(signature: String, inputs: Map<String, Tensor>): Map<String, Tensor> {
        val ins = this.inputs.getValue(signature)
        val outs = outputs.getValue(signature)
        ins.forEach { (name, buffer) -> buffer.write(inputs.getValue(name)) }
        model.run(ins, outs, signature)
        return signatures.getValue(signature).outputs.mapValues { (name, port) ->
            outs.getValue(name).read(port)
        }
    }

    override fun close() {
        (inputs.values + outputs.values).flatMap { it.values }.forEach { it.close() }
        model.close()
    }
}

private fun TensorBuffer.write(tensor: Tensor) = when (tensor) {
    is FloatTensor -> writeFloat(tensor.values)
    is IntTensor -> writeInt(tensor.values)
}

private fun TensorBuffer.read(port: Port): Tensor =
    if (port.isFloat) FloatTensor(readFloat()) else IntTensor(readInt())
