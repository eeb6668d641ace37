"""Clipping: what one client sends weighs no more than a bound, whatever it holds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

# The least normal number of 32 bits: what is smaller may count as zero.
_TINY = float(jnp.finfo(jnp.float32).tiny)


class Clipped(NamedTuple):
    """An update that may leave a device.

    Attributes:
        update: no longer than the bound; zero if a number of it was infinite or none.
        is_finite: whether all were numbers.
        is_shorter: whether it was scaled down.
    """

    update: Any
    is_finite: Bool[jax.Array, ""]
    is_shorter: Bool[jax.Array, ""]


def clip(update: Any, bound: float | Float[jax.Array, ""]) -> Clipped:
    """Scale a whole update down to a norm, over all its arrays together.

    The norm of what is divided by its largest number cannot overflow, so that 1e30 is clipped as
    everything else. By an eighth of it, for one over the largest of all numbers would be rounded
    to zero.
    """
    leaves = jax.tree.leaves(update)
    is_finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()
    finite = jax.tree.map(lambda leaf: jnp.where(is_finite, leaf, 0), update)
    leaves = jax.tree.leaves(finite)
    largest = jnp.stack([jnp.abs(leaf).max() for leaf in leaves]).max()
    unit = jnp.maximum(largest / 8, _TINY)
    scaled = jax.tree.map(lambda leaf: leaf / unit, finite)
    squares = jnp.stack([jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(scaled)])
    most = bound / jnp.maximum(jnp.sqrt(squares.sum()), _TINY)
    scale = jnp.minimum(unit, most)
    return Clipped(jax.tree.map(lambda leaf: leaf * scale, scaled), is_finite, unit > most)
