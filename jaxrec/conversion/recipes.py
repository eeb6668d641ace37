"""Recipes: the number formats of the weights of a file, and the oldest runtimes for each."""

from collections.abc import Container
from typing import Literal, get_args

Recipe = Literal["float32", "float16", "int8"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)


def min_runtime(recipe: Recipe, operators: Container[str]) -> dict[str, str]:
    """Return the oldest version of each runtime that runs a file as the current one does.

    All later versions that were tried return the same lists too; docs/deploy/processors.md has the
    table. Versions before ai-edge-litert 1.0.0 and tflite-runtime 2.14.0 were not tried.

    Args:
        operators: names of the operators of the file.
    """
    if recipe == "int8":
        # tflite-runtime rounds the inputs of large products in another way, which reorders lists.
        return {"ai-edge-litert": "1.0.0"}
    if recipe == "float16" and "CONV_2D" in operators:
        # Versions 1.1.2 to 1.3.0 return NaN.
        return {"ai-edge-litert": "1.4.0", "tflite-runtime": "2.14.0"}
    return {"ai-edge-litert": "1.0.0", "tflite-runtime": "2.14.0"}
