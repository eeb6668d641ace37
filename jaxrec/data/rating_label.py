"""The label of ratings: which there are, and that of each activity."""

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.config import DataConfig
from jaxrec.errors import UserError
from jaxrec.schema import RATING, Label

# A head has a threshold between every two.
_MOST = 32


def number_ratings(
    log: pl.DataFrame, config: DataConfig
) -> tuple[Label | None, Int32[np.ndarray, " n"] | None]:
    """Give the label and the id of each rating, if ratings are to be learned.

    Raises:
        UserError: there are none, or they are no few steps; or their weight is given without them.
    """
    if not config.rate:
        if config.rate_weight != DataConfig.rate_weight:
            raise UserError(f"--rate-weight={config.rate_weight:g} weighs ratings; give --rate too")
        return None, None
    if not log.schema.get(RATING, pl.String()).is_numeric():
        raise UserError(
            "--rate needs ratings and the log has none; leave it out, or name their column with "
            "--rating-column"
        )
    values = log[RATING].drop_nulls().unique().sort()
    if not 2 <= len(values) <= _MOST:
        raise UserError(
            f"--rate learns 2 to {_MOST} different ratings, and the log has {len(values):,}, as "
            f"{values[0]:g}; round them, or leave it out"
        )
    places = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
    ids = log[RATING].replace_strict(values, places, default=0, return_dtype=pl.Int32)
    label = Label(RATING, "ordinal", config.rate_weight, tuple(map(float, values)))
    return label, ids.to_numpy()
