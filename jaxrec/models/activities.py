"""Activities: from the ids of an activity's features to one vector, and the mask."""

from collections.abc import Mapping, Sequence
from functools import reduce

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.schema import ITEM, PAD, Schema

Vectors = Mapping[str, Float[jax.Array, "B *L D"]]


class Activities(nnx.Module):
    """One table for the items and one for each feature; an activity is the sum of their rows.

    Side by side they were no better (docs/results.md), and the encoder would be wider.
    """

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        sizes = {ITEM: schema.items} | {
            each.name: each.size for each in schema.features_of("activity")
        }
        # In this order: a dictionary that went through JAX comes back sorted.
        self.names = tuple(sizes)
        self.tables = init_tables(sizes, schema.width, rngs=rngs)
        self.width = schema.width

    def look_up(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Give the vectors of each feature, PAD's too."""
        return {name: self.tables[name][history[name]] for name in self.names}

    def join(self, vectors: Vectors, mask_BL: Bool[jax.Array, "B L"]) -> Float[jax.Array, "B L E"]:
        """Add the vectors of an activity's features up; zero where there is none."""
        activities_BLE = sum_of([vectors[name] for name in self.names])
        return jnp.where(mask_BL[..., None], activities_BLE, 0)


def sum_of(vectors: Sequence[jax.Array]) -> jax.Array:
    """Add vectors up, in their order."""
    return reduce(jnp.add, vectors)


def mask_of(history: Mapping[str, Int[jax.Array, "B *_"]]) -> Bool[jax.Array, "B L"]:
    """Tell where there is an activity."""
    return history[ITEM] != PAD


def init_table(key: jax.Array, size: int, width: int) -> Float[jax.Array, "{size}+1 {width}"]:
    """Draw a table whose rows have length one on average; row PAD is never read."""
    return jax.random.normal(key, (size + 1, width)) * width**-0.5


def init_tables(sizes: Mapping[str, int], width: int, *, rngs: nnx.Rngs) -> nnx.Dict:
    """Draw a table for each name, in their order."""
    return nnx.Dict(
        {name: nnx.Param(init_table(rngs.params(), size, width)) for name, size in sizes.items()}
    )
