"""Features of items: what is known of an item beside its id, as a part of its vector.

An item's vector is the sum of its own and, for each feature, the mean of the vectors of its values.
An item that is known by its features alone has their vectors and their biases. Once a model is
trained all this is one table: a file knows nothing of features.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.activities import init_tables
from jaxrec.schema import PAD, Feature

ItemIds = Mapping[str, Int[jax.Array | np.ndarray, "R _"]]
"""The values of each item by feature, as ids; 0 fills a row, and PAD's holds nothing else."""


class ItemFeatures(nnx.Module):
    """One table for each feature, of vectors as wide as an item's, and of biases."""

    def __init__(
        self,
        features: Sequence[Feature],
        width: int,
        bias: Float[jax.Array, ""],
        *,
        rngs: nnx.Rngs,
    ):
        """Draw the vectors.

        Args:
            features: of items.
            width: of an item's vector, D.
            bias: where the bias of an item without its own starts.
        """
        self.names = tuple(sorted(each.name for each in features))
        sizes = {each.name: each.size for each in features}
        self.tables = init_tables(sizes, width, rngs=rngs)
        self.biases = nnx.Dict(
            {each.name: nnx.Param(jnp.zeros(each.size + 1)) for each in features}
        )
        self.bias = nnx.Param(bias)

    def vectors(self, item_ids: ItemIds) -> Float[jax.Array, "R D"]:
        """Give the sum over the features of the mean of each item's values; zero without any."""
        means = [mean_of(self.tables[name][...], item_ids[name]) for name in self.names]
        return jnp.stack(means).sum(axis=0)

    def item_biases(self, item_ids: ItemIds) -> Float[jax.Array, " R"]:
        """Give the bias of each item, were it known by its features alone."""
        columns = {name: self.biases[name][...][:, None] for name in self.names}
        means = [mean_of(columns[name], item_ids[name])[:, 0] for name in self.names]
        return self.bias[...] + jnp.stack(means).sum(axis=0)


def mean_of(
    table_FD: Float[jax.Array, "F D"], ids_RM: Int[jax.Array | np.ndarray, "R M"]
) -> Float[jax.Array, "R D"]:
    """Give the mean of some rows for each item, zero where there are none."""
    ids_RM = jnp.asarray(ids_RM)
    is_there_RM = ids_RM != PAD
    rows_RMD = jnp.where(is_there_RM[..., None], table_FD[ids_RM], 0)
    counts_R1 = jnp.sum(is_there_RM, axis=1, keepdims=True, dtype=table_FD.dtype)
    return rows_RMD.sum(axis=1) / jnp.maximum(counts_R1, 1)
