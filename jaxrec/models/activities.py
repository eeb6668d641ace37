"""Activity embeddings: the sum of the embeddings of an activity's features, and the mask."""

from collections.abc import Mapping, Sequence
from functools import reduce

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.schema import ITEM, PAD, Schema

Vectors = Mapping[str, Float[jax.Array, "B *L D"]]


class Activities(nnx.Module):
    """Embedding tables of the items and of each activity feature, whose rows are added up.

    Concatenating the rows was no better (experiments/studies/quality) and makes the encoder wider.
    """

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        sizes = {ITEM: schema.items} | {
            each.name: each.size for each in schema.features_of("activity")
        }
        # Fixes the order of the sum: a dictionary that passes through JAX comes back sorted.
        self.names = tuple(sizes)
        self.tables = init_tables(sizes, schema.width, rngs=rngs)
        self.width = schema.width

    def look_up(self, history: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Return the embeddings of each feature, including those of padding."""
        return {name: self.tables[name][history[name]] for name in self.names}

    def combine(
        self, vectors: Vectors, mask_BL: Bool[jax.Array, "B L"]
    ) -> Float[jax.Array, "B L E"]:
        """Return the sum of each activity's feature embeddings; zero where the mask is False."""
        activities_BLE = sum_of([vectors[name] for name in self.names])
        return jnp.where(mask_BL[..., None], activities_BLE, 0)


def sum_of(vectors: Sequence[jax.Array]) -> jax.Array:
    """Return the sum of arrays, added in the given order."""
    return reduce(jnp.add, vectors)


def mask_of(history: Mapping[str, Int[jax.Array, "B *_"]]) -> Bool[jax.Array, "B L"]:
    """Return the mask of a history: True where there is an activity."""
    return history[ITEM] != PAD


def init_table(key: jax.Array, size: int, width: int) -> Float[jax.Array, "{size}+1 {width}"]:
    """Initialize a table whose rows have length one on average; row PAD is never read."""
    return jax.random.normal(key, (size + 1, width)) * width**-0.5


def init_tables(sizes: Mapping[str, int], width: int, *, rngs: nnx.Rngs) -> nnx.Dict:
    """Initialize a table for each name, in the order of `sizes`."""
    return nnx.Dict(
        {name: nnx.Param(init_table(rngs.params(), size, width)) for name, size in sizes.items()}
    )
