"""Quantization of weights by named recipes.

Computation stays in float32, except for the large products of int8.
"""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

from litert_quantizer import qtyping
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.quantizer import Quantizer
from litert_quantizer.recipe_manager import RecipeManager

from jaxrec.conversion.flatbuffer import large_products
from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.suppress_output import suppress_output

# Weights are dequantized once, when a file is loaded.
_WEIGHTS = {
    "float16": (
        AlgorithmName.FLOAT_CASTING,
        qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
    ),
    # One scale per tensor: one per row would add four bytes to the sixteen of a row of width 16,
    # and the file format repeats the scales in every signature.
    "int8": (
        AlgorithmName.MIN_MAX_UNIFORM_QUANT,
        qtyping.TensorQuantizationConfig(
            num_bits=8, granularity=qtyping.QuantGranularity.TENSORWISE
        ),
    ),
}

# Least number of weights from which on int8 also multiplies in 8 bits, with the inputs rounded at
# each product: the time of a product with one row is the time to read its weights. Ten steps of a
# recurrence, one thread, float32 against 8 bits: 2.4 against 2.0 µs with 4,096 weights, 6.7 against
# 3.1 with 16,384, 69 against 6.5 with 65,536. Scores stay float32: rounding would change their
# order.
MIN_INT8_PRODUCT = 1 << 14


def quantize(graph: bytes, recipe: Recipe) -> bytes:
    """Convert a flatbuffer's float32 weights to the format of a recipe; biases stay float32."""
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
    large = large_products(graph, MIN_INT8_PRODUCT) if recipe == "int8" else []
    if large:
        # The quantizer appends a semicolon to the name of each result.
        manager.add_quantization_config(
            regex=f"^({'|'.join(map(re.escape, large))});$",
            operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.INTEGER
            ),
            algorithm_key=algorithm,
        )
    # The quantizer's progress bars write to the Python streams that existed at its import.
    with suppress_output(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        quantizer = Quantizer(bytearray(graph))
        quantizer.load_quantization_recipe(manager.get_quantization_recipe())
        quantized = quantizer.quantize().quantized_model
    assert quantized is not None
    return bytes(quantized)
