"""The label of ratings: which there are, and that of each activity."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError
from jaxrec.schema import RATING, Label

# A head has a threshold between every two.
_MOST = 32


@dataclass(frozen=True)
class RatingConfig:
    """The second head of --rate, which predicts ratings."""

    group: ClassVar = "rating"
    weight: float = setting(0.3, 0.0, 1000.0)
    """what the loss of ratings counts beside that of the next item"""

    def __post_init__(self) -> None:
        check(self)


def number_ratings(
    log: pl.DataFrame, config: RatingConfig
) -> tuple[Label, Int32[np.ndarray, " n"]]:
    """Return the label of ratings and the id of each activity's.

    Raises:
        UserError: there are none, or they are no few steps.
    """
    if not log.schema.get(RATING, pl.String()).is_numeric():
        raise UserError(
            "--rate needs ratings and the log has none; leave it out, or name their column with "
            "--log.rating"
        )
    values = log[RATING].drop_nulls().unique().sort()
    if not 2 <= len(values) <= _MOST:
        raise UserError(
            f"--rate learns 2 to {_MOST} different ratings, and the log has {len(values):,}, as "
            f"{values[0]:g}; round them, or leave it out"
        )
    places = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
    ids = log[RATING].replace_strict(values, places, default=0, return_dtype=pl.Int32)
    label = Label(RATING, "ordinal", config.weight, tuple(map(float, values)))
    return label, ids.to_numpy()
