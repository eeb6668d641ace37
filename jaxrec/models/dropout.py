"""Dropout with a key, at a quarter of the usual random bits."""

import jax
import jax.numpy as jnp
from jaxtyping import Float


def dropout(
    x: Float[jax.Array, "*shape"], rate: float, key: jax.Array | None
) -> Float[jax.Array, "*shape"]:
    """Zero a share of the entries and scale up the rest; without a key, return `x` as it is.

    Drawing bits is most of dropout's time on a CPU, so each 32-bit draw serves four entries: the
    rate is rounded to a multiple of 1/256, and the scale is that of the rounded rate. (nnx.Dropout
    draws one float an entry.)
    """
    dropped = round(rate * 256)
    if key is None or dropped == 0:
        return x
    words = jax.random.bits(key, (-(-x.size // 4),), jnp.uint32)
    # Behind a barrier the words are drawn once; else XLA fuses the drawing into every consumer, and
    # each step of an unrolled LSTM draws all of them again.
    words = jax.lax.optimization_barrier(words)
    draws = jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[: x.size].reshape(x.shape)
    return jnp.where(draws >= dropped, x * (256 / (256 - dropped)), 0)
