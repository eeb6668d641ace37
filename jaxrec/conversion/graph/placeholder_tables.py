"""Placeholder tables: TensorFlow sees one repeated number in the place of each item table.

It copies every constant a dozen times on the way to a flatbuffer: with a million items and d = 32
the export took 190 s and 15 GB; with placeholders it takes 11 s and 2.4 GB. The tables replace the
placeholders in the finished flatbuffer, and the parity check verifies their places.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from jaxrec.conversion.flatbuffer import replace_constants
from jaxrec.conversion.graph import device
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM


@dataclass(frozen=True, eq=False)
class PlaceholderTables:
    """A model, and the placeholder numbers of its item tables.

    Attributes:
        tables: item table by its placeholder number, [R, D].
    """

    model: RecommenderModel
    tables: dict[float, Float[np.ndarray, "R D"]]

    def placeholder_model(self) -> RecommenderModel:
        """Return the model with placeholder tables; to be called inside the function traced."""
        # New variables, because those of another trace cannot be set.
        graphdef, params = nnx.split(self.model)
        model = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf, params))
        first, *second = (
            nnx.Param(jnp.full(table.shape, number, table.dtype))
            for number, table in self.tables.items()
        )
        model.activities.tables[ITEM] = first
        if second:
            (model.candidates,) = second
        return model

    def restore_tables(self, graph: bytes) -> bytes:
        """Replace the placeholders in a flatbuffer of the model by the tables."""
        return replace_constants(graph, self.tables)


def build_placeholders(model: RecommenderModel) -> PlaceholderTables:
    """Build placeholders from numbers that no other constant is likely to repeat."""
    model = device.zero_padding_rows(model)
    tables = [model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])]
    numbered = enumerate((np.asarray(table[...]) for table in tables), start=10)
    return PlaceholderTables(model, {1.0 + 2.0**-i: table for i, table in numbered})
