"""Quantize: named recipes for smaller weights; what is computed stays float32 in all of them."""

import io
from contextlib import redirect_stderr, redirect_stdout

from ai_edge_quantizer import qtyping
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager

from convert.quiet import quiet
from convert.recipes import Recipe

# Weights are dequantized once, when a file is loaded, so no recipe costs time in a call. Integer
# arithmetic (dynamic range) takes longer at these sizes, and quantized scores lose their order.
_WEIGHTS = {
    "float16": (
        AlgorithmName.FLOAT_CASTING,
        qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
    ),
    # One scale a tensor: one a row would be four bytes beside the sixteen of a row of width 16, and
    # the file format repeats it in every signature.
    "int8": (
        AlgorithmName.MIN_MAX_UNIFORM_QUANT,
        qtyping.TensorQuantizationConfig(
            num_bits=8, granularity=qtyping.QuantGranularity.TENSORWISE
        ),
    ),
}


def quantize(graph: bytes, recipe: Recipe) -> bytes:
    """Store the weights of a float32 flatbuffer as the recipe says; biases stay float32."""
    if recipe == "float32":
        return graph
    algorithm, weights = _WEIGHTS[recipe]
    manager = RecipeManager()
    manager.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=algorithm,
    )
    # Its progress bars write to the streams of Python that were there when it was imported.
    with quiet(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        quantizer = Quantizer(bytearray(graph))
        quantizer.load_quantization_recipe(manager.get_quantization_recipe())
        quantized = quantizer.quantize().quantized_model
    assert quantized is not None
    return bytes(quantized)
