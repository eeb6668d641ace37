"""Ratings of activities, and their scale in a log."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32

# Grades run from 0 to 4, corresponding to 1 to 5 stars.
BEST_GRADE = 4


@dataclass(frozen=True)
class RatingScale:
    """Scale of the ratings in a log.

    Attributes:
        lowest: the lowest rating that occurs ...
        highest: ... and the highest.
        high: threshold of a high rating: the lowest rating that occurs in the upper quarter of the
            scale. For 1 to 5 stars it is 4.
    """

    lowest: float
    highest: float
    high: float

    def grades(self, ratings: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """Convert ratings to grades from 0 to 4; NaN stays NaN."""
        share = (ratings.astype(np.float64) - self.lowest) / (self.highest - self.lowest)
        return (BEST_GRADE * share).astype(np.float32)


def ratings_of(log: pl.DataFrame) -> Float32[np.ndarray, " n"] | None:
    """Return the rating of each activity, NaN if missing; None if the log has no numeric ones."""
    if not log.schema.get("rating", pl.String()).is_numeric():
        return None
    return log["rating"].cast(pl.Float32).fill_null(np.nan).to_numpy()


def rating_scale(ratings: Float32[np.ndarray, " n"] | None) -> RatingScale | None:
    """Return the scale of ratings; None if there are fewer than two distinct ones."""
    known = np.unique(ratings[np.isfinite(ratings)] if ratings is not None else [])
    if len(known) < 2:
        return None
    lowest, highest = float(known[0]), float(known[-1])
    upper = known >= np.float32(lowest + 0.75 * (highest - lowest))
    return RatingScale(lowest, highest, float(known[upper][0]))
