"""Embeddings: from the ids of an activity's features to one vector, and the mask."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.features import ITEM, PAD, Feature


class Embeddings(nnx.Module):
    """One table for each feature; an activity is the concatenation of its features' vectors."""

    def __init__(self, features: tuple[Feature, ...], *, rngs: nnx.Rngs):
        self.tables = nnx.Dict(
            {
                feature.name: nnx.Param(init_table(rngs.params(), feature.size, feature.width))
                for feature in features
            }
        )
        self.width = sum(feature.width for feature in features)

    def __call__(
        self, history: Mapping[str, Int[jax.Array, "B L"]]
    ) -> tuple[Float[jax.Array, "B L E"], Bool[jax.Array, "B L"]]:
        """Look the activities up; the mask is False, and the vector zero, where there is none."""
        mask_BL = history[ITEM] != PAD
        vectors = [table[history[name]] for name, table in self.tables.items()]
        activities_BLE = jnp.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]
        return jnp.where(mask_BL[..., None], activities_BLE, 0), mask_BL


def init_table(key: jax.Array, size: int, width: int) -> Float[jax.Array, "{size}+1 {width}"]:
    """Draw a table whose rows have length one on average; row PAD is never read."""
    return jax.random.normal(key, (size + 1, width)) * width**-0.5
