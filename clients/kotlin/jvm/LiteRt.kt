/** The functions of LiteRT's C library that the engine calls, by JNA's direct mapping. */
package jaxrec.jvm

import com.sun.jna.Memory
import com.sun.jna.Native
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer

/**
 * The library, `libLiteRt.so` on Linux. Functions are named as in its headers (litert/c). They
 * return 0 for success, and write a handle or an address to their `out`.
 */
internal object LiteRt {
    const val CPU = 1
    const val READ = 0
    const val WRITE = 1
    const val OPTION_AUTO_REGISTER_ACCELERATORS = 24
    const val OPTION_MIN_LOGGER_SEVERITY = 25
    const val ANY_INT = 2
    const val SEVERITY_ERROR = 3

    init {
        val library = try {
            NativeLibrary.getInstance("LiteRt")
        } catch (error: UnsatisfiedLinkError) {
            throw IllegalStateException(
                "LiteRT's library was not found; start Java with -Djna.library.path=FOLDER, the " +
                    "folder that has it",
                error,
            )
        }
        Native.register(LiteRt::class.java, library)
    }

    @JvmStatic external fun LiteRtCreateEnvironment(count: Int, options: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtDestroyEnvironment(environment: Pointer)

    @JvmStatic external fun LiteRtCreateModelFromBuffer(
        environment: Pointer,
        address: Pointer,
        size: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtDestroyModel(model: Pointer)

    @JvmStatic external fun LiteRtCreateOptions(out: Memory): Int

    @JvmStatic external fun LiteRtSetOptionsHardwareAccelerators(options: Pointer, set: Int): Int

    @JvmStatic external fun LiteRtDestroyOptions(options: Pointer)

    @JvmStatic external fun LiteRtCreateCompiledModel(
        environment: Pointer,
        model: Pointer,
        options: Pointer,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtDestroyCompiledModel(compiled: Pointer)

    @JvmStatic external fun LiteRtGetNumModelSignatures(model: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtGetModelSignature(model: Pointer, index: Long, out: Memory): Int

    @JvmStatic external fun LiteRtGetSignatureKey(signature: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtGetNumSignatureInputs(signature: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtGetNumSignatureOutputs(signature: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtGetSignatureInputName(
        signature: Pointer,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetSignatureOutputName(
        signature: Pointer,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetSignatureInputTensorByIndex(
        signature: Pointer,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetSignatureOutputTensorByIndex(
        signature: Pointer,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetRankedTensorType(tensor: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtGetCompiledModelInputBufferRequirements(
        compiled: Pointer,
        signature: Long,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetCompiledModelOutputBufferRequirements(
        compiled: Pointer,
        signature: Long,
        index: Long,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtCreateManagedTensorBufferFromRequirements(
        environment: Pointer,
        type: Pointer,
        requirements: Pointer,
        out: Memory,
    ): Int

    @JvmStatic external fun LiteRtGetTensorBufferPackedSize(buffer: Pointer, out: Memory): Int

    @JvmStatic external fun LiteRtLockTensorBuffer(buffer: Pointer, out: Memory, mode: Int): Int

    @JvmStatic external fun LiteRtUnlockTensorBuffer(buffer: Pointer): Int

    @JvmStatic external fun LiteRtDestroyTensorBuffer(buffer: Pointer)

    @JvmStatic external fun LiteRtRunCompiledModel(
        compiled: Pointer,
        signature: Long,
        inputCount: Long,
        inputs: Pointer,
        outputCount: Long,
        outputs: Pointer,
    ): Int
}
