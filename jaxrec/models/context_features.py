"""Context features: embeddings of what is known about the user and the moment."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.activities import Vectors, init_tables, sum_of
from jaxrec.schema import Schema


class ContextFeatures(nnx.Module):
    """Embedding tables of the context features, one per feature, whose rows are added up."""

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        features = (*schema.features_of("user"), *schema.features_of("moment"))
        self.names = tuple(each.name for each in features)
        sizes = {each.name: each.size for each in features}
        self.tables = init_tables(sizes, schema.width, rngs=rngs)
        self.width = schema.width if features else 0

    def look_up(self, given: Mapping[str, Int[jax.Array, "B *_"]]) -> Vectors:
        """Return the embeddings of each feature, including those of unknown values."""
        return {name: self.tables[name][given[name]] for name in self.names}

    def combine(self, vectors: Vectors) -> Float[jax.Array, "B D"] | None:
        """Return the sum of the embeddings; None if there is no feature."""
        return sum_of([vectors[name] for name in self.names]) if self.names else None

    def combine_positions(self, vectors: Vectors, count: int) -> Float[jax.Array, "W B D"] | None:
        """Return the sum of the embeddings at each of the last `count` positions of windows.

        A user's embeddings, [B, D], are repeated; those of moments, [B, L, D], differ by position.
        """
        if not self.names:
            return None
        terms = [vectors[name] for name in self.names]
        terms = [x if x.ndim == 3 else jnp.repeat(x[:, None], count, axis=1) for x in terms]
        return jnp.swapaxes(sum_of([x[:, -count:] for x in terms]), 0, 1)
