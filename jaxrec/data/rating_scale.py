"""Ratings: what a log says of how each activity was liked, on whatever scale."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32

# Grades run from 0 to 4, as stars from 1 to 5 do.
BEST_GRADE = 4


@dataclass(frozen=True)
class RatingScale:
    """The ratings that a log has.

    Attributes:
        lowest: the lowest of all ...
        highest: ... and the highest.
        high: what is rated so or better is rated high: the least rating that occurs in the upper
            quarter of the scale. Of stars from 1 to 5 it is 4.
    """

    lowest: float
    highest: float
    high: float

    def grades(self, ratings: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """Put ratings on a scale from 0 to 4; NaN stays what it is."""
        share = (ratings.astype(np.float64) - self.lowest) / (self.highest - self.lowest)
        return (BEST_GRADE * share).astype(np.float32)


def ratings_of(log: pl.DataFrame) -> Float32[np.ndarray, " n"] | None:
    """Give the rating of each activity, NaN where there is none; None if the log has no numbers."""
    if not log.schema.get("rating", pl.String()).is_numeric():
        return None
    return log["rating"].cast(pl.Float32).fill_null(np.nan).to_numpy()


def rating_scale(ratings: Float32[np.ndarray, " n"] | None) -> RatingScale | None:
    """Find the scale of ratings; None if they tell nothing apart."""
    known = np.unique(ratings[np.isfinite(ratings)] if ratings is not None else [])
    if len(known) < 2:
        return None
    lowest, highest = float(known[0]), float(known[-1])
    upper = known >= np.float32(lowest + 0.75 * (highest - lowest))
    return RatingScale(lowest, highest, float(known[upper][0]))
