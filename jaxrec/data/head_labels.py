"""Labels of the heads: the columns of a log that heads predict, encoded as ids."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.errors import UserError
from jaxrec.schema import HeadSpec

# Maximum number of values: an ordinal head has a threshold between each two adjacent ones.
_MAX_VALUES = 32

Labels = dict[str, Int32[np.ndarray, " n"]]
"""The label id of each activity by head name; 0 where it has none."""


class HeadRequest(NamedTuple):
    """A requested head.

    Attributes:
        flag: the flag that requests it.
        column_flag: the flag that names the column of the log that it predicts.
        weight: of its loss.
    """

    flag: str
    column_flag: str
    weight: float


def encode_labels(
    log: pl.DataFrame,
    heads: Mapping[str, HeadRequest],
    earlier: Mapping[str, HeadSpec] = MappingProxyType({}),
) -> tuple[tuple[HeadSpec, ...], Labels]:
    """Return the requested heads, and the labels of each.

    Args:
        log: the columns of the activities.
        heads: the requested heads, by name.
        earlier: the heads of an earlier run by name, whose values are labels too.

    Raises:
        UserError: a label has no numeric column, or that has too few or too many distinct values.
    """
    specs, labels = [], {}
    for name, (flag, column_flag, weight) in heads.items():
        if not log.schema.get(name, pl.String()).is_numeric():
            raise UserError(
                f"{flag} needs a numeric {name} in the log, and there is none; omit it, or name "
                f"the column with {column_flag}"
            )
        values = log[name].drop_nulls()
        if name in earlier:
            values = values.cast(pl.Float64).append(
                pl.Series(earlier[name].values, dtype=pl.Float64)
            )
        values = values.unique().sort()
        if not 2 <= len(values) <= _MAX_VALUES:
            raise UserError(
                f"{flag} supports 2 to {_MAX_VALUES} distinct values of {name}, and the log has "
                f"{len(values):,}, as {values[0]:g}; round them, or omit the flag"
            )
        specs.append(HeadSpec(name, weight, tuple(map(float, values))))
        ids = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
        numbered = log[name].replace_strict(values, ids, default=0, return_dtype=pl.Int32)
        labels[name] = numbered.to_numpy()
    return tuple(specs), labels
