"""FLOPs: how many floating point operations the matrix products of a function take."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, jaxprs_in_params


def matmul_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the operations of all matrix products of a function, two for each multiply-add.

    What XLA reports as its cost counts the body of a loop once. Here a `lax.scan` counts as often
    as it runs; a loop whose trips depend on values counts once.

    Args:
        function: is traced, not run.
        arguments: arrays, or jax.ShapeDtypeStruct in their place.
    """
    return _flops(jax.make_jaxpr(function)(*arguments).jaxpr)


def _flops(jaxpr: Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            operand: Any = equation.invars[0].aval
            product: Any = equation.outvars[0].aval
            depth = math.prod(operand.shape[axis] for axis in contracted)
            total += 2 * depth * math.prod(product.shape)
        trips = equation.params["length"] if equation.primitive.name == "scan" else 1
        total += trips * sum(_flops(inner) for inner in jaxprs_in_params(equation.params))
    return total
