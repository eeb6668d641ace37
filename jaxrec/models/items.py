"""Features of items: what is known of an item beside its id, as a part of its vector.

An item's vector is the sum of its own and, for each feature, the mean of the vectors of its values.
Once a model is trained the sum is one table: a file knows nothing of features.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.activities import init_table
from jaxrec.schema import PAD, Feature

ItemIds = Mapping[str, Int[jax.Array, "R _"]]
"""The values of each item by feature, as ids; 0 fills a row, and PAD's holds nothing else."""


class ItemFeatures(nnx.Module):
    """One table for each feature, of vectors as wide as an item's."""

    def __init__(self, features: Sequence[Feature], *, rngs: nnx.Rngs):
        self.tables = nnx.Dict(
            {
                each.name: nnx.Param(init_table(rngs.params(), each.size, each.width))
                for each in features
            }
        )

    def __call__(self, item_ids: ItemIds) -> Float[jax.Array, "R D"]:
        """Give the sum over the features of the mean of each item's values; zero without any."""
        parts = [
            _mean_of_rows(table[...], item_ids[name]) for name, table in sorted(self.tables.items())
        ]
        return jnp.stack(parts).sum(axis=0)


def _mean_of_rows(
    table_FD: Float[jax.Array, "F D"], ids_RM: Int[jax.Array, "R M"]
) -> Float[jax.Array, "R D"]:
    is_there_RM = ids_RM != PAD
    rows_RMD = jnp.where(is_there_RM[..., None], table_FD[ids_RM], 0)
    counts_R1 = jnp.sum(is_there_RM, axis=1, keepdims=True, dtype=table_FD.dtype)
    return rows_RMD.sum(axis=1) / jnp.maximum(counts_R1, 1)
