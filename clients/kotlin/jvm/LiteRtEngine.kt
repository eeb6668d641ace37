/** An engine for the JVM: LiteRT's C library, called through JNA. */
package jaxrec.jvm

import com.sun.jna.Memory
import com.sun.jna.Pointer
import jaxrec.Bundle
import jaxrec.Engine
import jaxrec.FloatTensor
import jaxrec.IntTensor
import jaxrec.Port
import jaxrec.Tensor

// Larger than LiteRtRankedTensorType, which has 72 bytes in LiteRT 2.3.
private const val TYPE_BYTES = 256L

private const val OPTION_COUNT = 2
private const val OPTION_BYTES = 24L

// Aligned as LiteRT aligns tensors of its own.
private const val ALIGNMENT = 64

/**
 * A graph in LiteRT's CPU runtime, on one thread.
 *
 * `libLiteRt.so` is in the Python wheel ai-edge-litert; the system property `jna.library.path`
 * names its folder. Memory is the library's own: `close` frees it.
 *
 * @throws IllegalStateException if the library is not found, or refuses the graph.
 */
class LiteRtEngine(bundle: Bundle) : Engine {
    /** Undoes what the constructor did, in reverse order. */
    private val cleanup = ArrayDeque<() -> Unit>()

    /** Room for what a function of the library returns. */
    private val out = Memory(8)
    private val type = Memory(TYPE_BYTES)
    private val graph = Memory(bundle.graph.size + ALIGNMENT.toLong())
    private val environment: Pointer
    private val compiled: Pointer
    private val signatures: Map<String, NativeSignature>

    init {
        try {
            environment = create(LiteRt::LiteRtDestroyEnvironment) {
                LiteRt.LiteRtCreateEnvironment(OPTION_COUNT, environmentOptions(), out)
            }
            val size = bundle.graph.size
            val address = graph.align(ALIGNMENT)
            address.write(0, bundle.graph, 0, size)
            val model = create(LiteRt::LiteRtDestroyModel) {
                LiteRt.LiteRtCreateModelFromBuffer(environment, address, size.toLong(), out)
            }
            val options = create(LiteRt::LiteRtDestroyOptions) { LiteRt.LiteRtCreateOptions(out) }
            verify(LiteRt.LiteRtSetOptionsHardwareAccelerators(options, LiteRt.CPU))
            compiled = create(LiteRt::LiteRtDestroyCompiledModel) {
                LiteRt.LiteRtCreateCompiledModel(environment, model, options, out)
            }
            signatures = readSignatures(model, bundle)
        } catch (error: Throwable) {
            close()
            throw error
        }
    }

    override fun run(signature: String, inputs: Map<String, Tensor>): Map<String, Tensor> {
        val native = signatures.getValue(signature)
        val (ins, outs) = native.inputs to native.outputs
        ins.buffers.forEach { it.write(inputs.getValue(it.name)) }
        verify(
            LiteRt.LiteRtRunCompiledModel(
                compiled,
                native.index,
                ins.count,
                ins.handles,
                outs.count,
                outs.handles,
            ),
        )
        return outs.buffers.associate { it.name to it.read() }
    }

    override fun close() {
        while (cleanup.isNotEmpty()) cleanup.removeLast()()
        graph.close()
    }

    private fun readSignatures(model: Pointer, bundle: Bundle): Map<String, NativeSignature> =
        (0 until count { LiteRt.LiteRtGetNumModelSignatures(model, out) }).associate { index ->
            val signature = pointer { LiteRt.LiteRtGetModelSignature(model, index, out) }
            val name = pointer { LiteRt.LiteRtGetSignatureKey(signature, out) }.getString(0)
            val ports = bundle.signatures.getValue(name)
            val inputs = createInputs(signature, index, ports.inputs)
            name to NativeSignature(index, inputs, createOutputs(signature, index, ports.outputs))
        }

    private fun createInputs(signature: Pointer, index: Long, ports: Map<String, Port>) =
        BufferList(
            (0 until count { LiteRt.LiteRtGetNumSignatureInputs(signature, out) }).map {
                createBuffer(
                    pointer { LiteRt.LiteRtGetSignatureInputName(signature, it, out) },
                    ports,
                    pointer { LiteRt.LiteRtGetSignatureInputTensorByIndex(signature, it, out) },
                    pointer {
                        LiteRt.LiteRtGetCompiledModelInputBufferRequirements(
                            compiled,
                            index,
                            it,
                            out,
                        )
                    },
                )
            },
        )

    private fun createOutputs(signature: Pointer, index: Long, ports: Map<String, Port>) =
        BufferList(
            (0 until count { LiteRt.LiteRtGetNumSignatureOutputs(signature, out) }).map {
                createBuffer(
                    pointer { LiteRt.LiteRtGetSignatureOutputName(signature, it, out) },
                    ports,
                    pointer { LiteRt.LiteRtGetSignatureOutputTensorByIndex(signature, it, out) },
                    pointer {
                        LiteRt.LiteRtGetCompiledModelOutputBufferRequirements(
                            compiled,
                            index,
                            it,
                            out,
                        )
                    },
                )
            },
        )

    /** Allocates the memory of an input or output. */
    private fun createBuffer(
        cName: Pointer,
        ports: Map<String, Port>,
        tensor: Pointer,
        requirements: Pointer,
    ): Buffer {
        val name = cName.getString(0)
        val port = ports.getValue(name)
        verify(LiteRt.LiteRtGetRankedTensorType(tensor, type))
        val buffer = create(LiteRt::LiteRtDestroyTensorBuffer) {
            LiteRt.LiteRtCreateManagedTensorBufferFromRequirements(
                environment,
                type,
                requirements,
                out,
            )
        }
        val bytes = count { LiteRt.LiteRtGetTensorBufferPackedSize(buffer, out) }
        // Reading by the shape in model.json must not leave the buffer.
        check(bytes == port.size * 4L) { "$name has $bytes bytes, its shape is ${port.shape}" }
        return Buffer(name, port, buffer)
    }

    /** Calls a function that creates a handle, to be destroyed by `close`. */
    private fun create(destroy: (Pointer) -> Unit, call: () -> Int): Pointer =
        pointer(call).also { handle -> cleanup.addLast { destroy(handle) } }

    private fun pointer(call: () -> Int): Pointer {
        verify(call())
        return out.getPointer(0)
    }

    private fun count(call: () -> Int): Long {
        verify(call())
        return out.getLong(0)
    }

    private class NativeSignature(val index: Long, val inputs: BufferList, val outputs: BufferList)

    /** The buffers of a signature, in its order, and the array of their handles. */
    private class BufferList(val buffers: List<Buffer>) {
        val count = buffers.size.toLong()
        val handles = Memory(count * Long.SIZE_BYTES)

        init {
            buffers.forEachIndexed { index, buffer ->
                handles.setPointer(index.toLong() * Long.SIZE_BYTES, buffer.handle)
            }
        }
    }

    /** The memory of an input or output. */
    private inner class Buffer(val name: String, private val port: Port, val handle: Pointer) {
        fun write(tensor: Tensor) = locked(LiteRt.WRITE) { address ->
            require(tensor.size == port.size) { "$name takes ${port.size} values" }
            when (tensor) {
                is FloatTensor -> address.write(0, tensor.values, 0, tensor.size)
                is IntTensor -> address.write(0, tensor.values, 0, tensor.size)
            }
        }

        fun read(): Tensor = locked(LiteRt.READ) { address ->
            if (port.isFloat) {
                FloatTensor(address.getFloatArray(0, port.size))
            } else {
                IntTensor(address.getIntArray(0, port.size))
            }
        }

        private fun <T> locked(mode: Int, use: (Pointer) -> T): T {
            val address = pointer { LiteRt.LiteRtLockTensorBuffer(handle, out, mode) }
            try {
                return use(address)
            } finally {
                verify(LiteRt.LiteRtUnlockTensorBuffer(handle))
            }
        }
    }
}

/** Returns options of an environment: no search for GPU libraries, and only errors in the log. */
private fun environmentOptions(): Memory {
    val options = Memory(OPTION_COUNT * OPTION_BYTES)
    listOf(
        LiteRt.OPTION_AUTO_REGISTER_ACCELERATORS to LiteRt.CPU,
        LiteRt.OPTION_MIN_LOGGER_SEVERITY to LiteRt.SEVERITY_ERROR,
    ).forEachIndexed { index, (tag, value) ->
        // LiteRtEnvOption: the tag, and a LiteRtAny of a type and 8 bytes of content.
        options.setInt(index * OPTION_BYTES, tag)
        options.setInt(index * OPTION_BYTES + 8, LiteRt.ANY_INT)
        options.setLong(index * OPTION_BYTES + 16, value.toLong())
    }
    return options
}

private fun verify(status: Int) = check(status == 0) { "LiteRT returned the status $status" }
