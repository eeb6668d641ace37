"""Clipping of a client's update to a norm, whatever numbers it contains."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

# The smallest normal float32; smaller numbers may be flushed to zero.
_TINY = float(jnp.finfo(jnp.float32).tiny)


class Clipped(NamedTuple):
    """A clipped update, which may leave a device.

    Attributes:
        update: an update with a norm of at most the bound; zero if the original was not finite.
        is_finite: whether all numbers of the original are finite.
        is_shorter: whether the original was scaled down.
    """

    update: Any
    is_finite: Bool[jax.Array, ""]
    is_shorter: Bool[jax.Array, ""]


def clip(update: Any, bound: float | Float[jax.Array, ""]) -> Clipped:
    """Clip an update to a norm over all its arrays together.

    The norm is computed after division by an eighth of the largest number. So it cannot overflow,
    and an update with 1e30 is clipped like any other. The eighth keeps the divisor's reciprocal a
    normal number: that of the largest float32 would be flushed to zero.
    """
    leaves = jax.tree.leaves(update)
    is_finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()
    finite = jax.tree.map(lambda leaf: jnp.where(is_finite, leaf, 0), update)
    leaves = jax.tree.leaves(finite)
    largest = jnp.stack([jnp.abs(leaf).max() for leaf in leaves]).max()
    unit = jnp.maximum(largest / 8, _TINY)
    scaled = jax.tree.map(lambda leaf: leaf / unit, finite)
    squares = jnp.stack([jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(scaled)])
    max_scale = bound / jnp.maximum(jnp.sqrt(squares.sum()), _TINY)
    scale = jnp.minimum(unit, max_scale)
    return Clipped(jax.tree.map(lambda leaf: leaf * scale, scaled), is_finite, unit > max_scale)
