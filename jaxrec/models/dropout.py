"""Dropout with an explicit key, from a quarter of the usual random bits."""

import jax
import jax.numpy as jnp
from jaxtyping import Float


def dropout(
    x: Float[jax.Array, "*shape"], rate: float, key: jax.Array | None
) -> Float[jax.Array, "*shape"]:
    """Zero a share of the entries and scale up the rest; return `x` unchanged if there is no key.

    Drawing random bits takes most of dropout's time on a CPU, so each 32-bit word serves four
    entries. The rate is rounded to a multiple of 1/256, and entries are scaled by the rounded rate.
    (nnx.Dropout draws one float per entry.)
    """
    dropped = round(rate * 256)
    if key is None or dropped == 0:
        return x
    words = jax.random.bits(key, (-(-x.size // 4),), jnp.uint32)
    # The barrier makes XLA draw the words once. Otherwise it fuses the draw into every consumer,
    # and each step of an unrolled LSTM draws all of them again.
    words = jax.lax.optimization_barrier(words)
    draws = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[: x.size].reshape(x.shape)
    return jnp.where(draws >= dropped, x * (256 / (256 - dropped)), 0)
