"""Stand-ins: in the place of large tables TensorFlow sees one number, repeated.

It copies every constant a dozen times on the way to a flatbuffer: with a million items and d = 32
that took 190 s and 15 GB, and takes 11 s and 2.4 GB so. The tables are put into the flatbuffer when
it is made. That they came to the right places, parity proves.
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
class StandIns:
    """A model, and the numbers that stand for its tables of items.

    Attributes:
        tables: by the number that stands for it, [R, D].
    """

    model: RecommenderModel
    tables: dict[float, Float[np.ndarray, "R D"]]

    def standing(self) -> RecommenderModel:
        """Give the model with numbers for tables; to be called where it is traced."""
        # New variables: those of another trace cannot be set.
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

    def put_back(self, graph: bytes) -> bytes:
        """Put the tables into a flatbuffer that was made of the model as it stands."""
        return replace_constants(graph, self.tables)


def stand_in(model: RecommenderModel) -> StandIns:
    """Choose a number for each table of items that no other constant is likely to repeat."""
    model = device.prepare(model)
    tables = [model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])]
    numbered = enumerate((np.asarray(table[...]) for table in tables), start=10)
    return StandIns(model, {1.0 + 2.0**-i: table for i, table in numbered})
