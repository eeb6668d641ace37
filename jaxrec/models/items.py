"""Item features: embeddings and biases of what is known about an item beside its ID.

An item embedding is the sum of the embedding of its ID and, for each feature, the mean embedding of
its values. An item without an ID embedding has the embeddings and biases of its features alone.
After training, all of this is folded into one table: an exported file has no item features.
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
"""The value ids of each item, by feature, padded with 0; the row of PAD is all zeros."""


class ItemFeatures(nnx.Module):
    """One table of embeddings, as wide as an item's, and one of biases for each feature."""

    def __init__(
        self,
        features: Sequence[Feature],
        width: int,
        bias: Float[jax.Array, ""],
        *,
        rngs: nnx.Rngs,
    ):
        """Initialize the parameters.

        Args:
            features: the item features.
            width: of an item embedding, D.
            bias: initial bias of an item that is known by its features alone.
        """
        self.names = tuple(sorted(each.name for each in features))
        sizes = {each.name: each.size for each in features}
        self.tables = init_tables(sizes, width, rngs=rngs)
        self.biases = nnx.Dict(
            {each.name: nnx.Param(jnp.zeros(each.size + 1)) for each in features}
        )
        self.bias = nnx.Param(bias)

    def vectors(self, item_ids: ItemIds) -> Float[jax.Array, "R D"]:
        """Return the sum over features of the mean embedding of each item's values."""
        means = [mean_of(self.tables[name][...], item_ids[name]) for name in self.names]
        return jnp.stack(means).sum(axis=0)

    def item_biases(self, item_ids: ItemIds) -> Float[jax.Array, " R"]:
        """Return the bias that each item has if it is known by its features alone."""
        columns = {name: self.biases[name][...][:, None] for name in self.names}
        means = [mean_of(columns[name], item_ids[name])[:, 0] for name in self.names]
        return self.bias[...] + jnp.stack(means).sum(axis=0)


def mean_of(
    table_FD: Float[jax.Array, "F D"], ids_RM: Int[jax.Array | np.ndarray, "R M"]
) -> Float[jax.Array, "R D"]:
    """Return the mean of each item's rows of a table; zero for an item without values."""
    ids_RM = jnp.asarray(ids_RM)
    is_valid_RM = ids_RM != PAD
    rows_RMD = jnp.where(is_valid_RM[..., None], table_FD[ids_RM], 0)
    counts_R1 = jnp.sum(is_valid_RM, axis=1, keepdims=True, dtype=table_FD.dtype)
    return rows_RMD.sum(axis=1) / jnp.maximum(counts_R1, 1)
