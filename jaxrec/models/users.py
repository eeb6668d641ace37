"""Users: what is known of a user beside the history, as one vector for the head."""

from collections.abc import Mapping

import jax
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.models.activities import Vectors, init_table, sum_of
from jaxrec.schema import Schema


class Users(nnx.Module):
    """One table for each feature of a user; the vector of a user is the sum of their rows."""

    def __init__(self, schema: Schema, *, rngs: nnx.Rngs):
        features = schema.features_of("user")
        self.names = tuple(each.name for each in features)
        self.tables = nnx.Dict(
            {
                each.name: nnx.Param(init_table(rngs.params(), each.size, schema.width))
                for each in features
            }
        )
        self.width = schema.width if features else 0

    def look_up(self, given: Mapping[str, Int[jax.Array, "..."]]) -> Vectors:
        """Give the vectors of each feature, those of unknown values too."""
        return {name: self.tables[name][given[name]] for name in self.names}

    def join(self, vectors: Vectors) -> Float[jax.Array, "B D"] | None:
        """Add the vectors of a user's features up; None if there is no feature."""
        return sum_of([vectors[name] for name in self.names]) if self.names else None
