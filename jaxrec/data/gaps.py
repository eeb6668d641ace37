"""Gaps: how long it was from each activity to the next, as one of 31 buckets.

What a model knows of time. On a device the gap behind the last activity ends now; in training the
next activity, the target of the one before, tells when now was.
"""

import numpy as np
from jaxtyping import Int, Int32, Shaped

from jaxrec.schema import UNKNOWN_AGE

DAY = 86_400
"""Seconds."""

LONGEST = 1 << 30
"""Seconds, 34 years: what is as long or longer is unknown."""

LEAST_GAPS = (0, *(1 << power for power in range(30)))
"""The shortest gap of each bucket, in seconds: 1 is no time at all, 2 one second, 3 two or three,
4 four to seven, up to LONGEST."""


def gap_ids(seconds: Int[np.ndarray, "*shape"]) -> Int32[np.ndarray, "*shape"]:
    """Give the bucket of each gap, from 1; 0 for what is negative or too long."""
    is_known = (seconds >= 0) & (seconds < LONGEST)
    # Rounded as on a device, where 2 ** 25 - 1 is 2 ** 25.
    rounded = np.where(is_known, seconds, 0).astype(np.float32)
    ids = np.searchsorted(LEAST_GAPS, rounded, side="right")
    return np.where(is_known, ids, 0).astype(np.int32)


def gap_ids_of_ages(ages: Int32[np.ndarray, "n N"]) -> Int32[np.ndarray, "n N"]:
    """Give the bucket of the gap behind each activity of some histories.

    Args:
        ages: seconds from each activity to now, the most recent last.
    """
    is_known = (ages >= 0) & (ages < LONGEST)
    next_ages = np.append(ages[:, 1:], np.zeros_like(ages[:, :1]), axis=1)
    next_known = np.append(is_known[:, 1:], np.ones_like(is_known[:, :1]), axis=1)
    gaps = np.where(is_known & next_known, ages.astype(np.int64) - next_ages, UNKNOWN_AGE)
    return gap_ids(gaps)


def whole_seconds(
    timestamps: Shaped[np.ndarray, "*shape"], ticks_per_second: int
) -> Int[np.ndarray, "*shape"]:
    """Cut times to whole seconds, as a clock shows them."""
    return (timestamps // ticks_per_second).astype(np.int64)
