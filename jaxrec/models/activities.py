"""Activities: from the ids of an activity's features to one vector, and the mask."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.schema import ITEM, PAD, Schema

Vectors = Mapping[str, Float[jax.Array, "B L _"]]


class Activities(nnx.Module):
    """One table for the items and one for each feature; an activity is their rows side by side."""

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        sizes = {ITEM: (schema.items, schema.width)}
        for feature in (*schema.features_of("activity"), *schema.features_of("user")):
            if (feature.of, feature.kind) != ("activity", "id"):
                raise ValueError(f"{feature} has no vector yet")
            sizes[feature.name] = (feature.size, feature.width)
        # Side by side in this order: a dictionary that went through JAX comes back sorted.
        self.names = tuple(sizes)
        self.tables = nnx.Dict(
            {name: nnx.Param(init_table(rngs.params(), *size)) for name, size in sizes.items()}
        )
        self.width = sum(width for _, width in sizes.values())

    def look_up(self, history: Mapping[str, Int[jax.Array, "B L"]]) -> Vectors:
        """Give the vectors of each feature, PAD's too."""
        return {name: self.tables[name][history[name]] for name in self.names}

    def join(self, vectors: Vectors, mask_BL: Bool[jax.Array, "B L"]) -> Float[jax.Array, "B L E"]:
        """Put the vectors of an activity's features side by side; zero where there is none."""
        activities_BLE = jnp.concatenate([vectors[name] for name in self.names], axis=-1)
        return jnp.where(mask_BL[..., None], activities_BLE, 0)


def mask_of(history: Mapping[str, Int[jax.Array, "B L"]]) -> Bool[jax.Array, "B L"]:
    """Tell where there is an activity."""
    return history[ITEM] != PAD


def init_table(key: jax.Array, size: int, width: int) -> Float[jax.Array, "{size}+1 {width}"]:
    """Draw a table whose rows have length one on average; row PAD is never read."""
    return jax.random.normal(key, (size + 1, width)) * width**-0.5
