"""Circumstances: what is known of a user and of the moment beside the history, for the head."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.activities import Vectors, init_tables, sum_of
from jaxrec.schema import Schema


class Circumstances(nnx.Module):
    """One table for each feature of a user or a moment; the rows of all are added up."""

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        features = (*schema.features_of("user"), *schema.features_of("moment"))
        self.names = tuple(each.name for each in features)
        sizes = {each.name: each.size for each in features}
        self.tables = init_tables(sizes, schema.width, rngs=rngs)
        self.width = schema.width if features else 0

    def look_up(self, given: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Give the vectors of each feature, those of unknown values too."""
        return {name: self.tables[name][given[name]] for name in self.names}

    def join(self, vectors: Vectors) -> Float[jax.Array, "B D"] | None:
        """Add the vectors up; None if there is no feature."""
        return sum_of([vectors[name] for name in self.names]) if self.names else None

    def join_each(self, vectors: Vectors, count: int) -> Float[jax.Array, "W B D"] | None:
        """Add the vectors up at each of the last `count` positions of windows.

        A user's, [B, D], are the same at all; a moment's are those of the positions, [B, L, D].
        """
        if not self.names:
            return None
        each = [vectors[name] for name in self.names]
        each = [x if x.ndim == 3 else jnp.repeat(x[:, None], count, axis=1) for x in each]
        return jnp.swapaxes(sum_of([x[:, -count:] for x in each]), 0, 1)
