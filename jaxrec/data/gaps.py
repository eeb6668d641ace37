"""Time gaps: the time from each activity to the next, as one of 31 buckets.

They are the input of a model with --time-gaps. On a device the gap after the last activity ends
now. In training it ends at the time of the next activity, which is the target.
"""

import numpy as np
from jaxtyping import Int, Int32, Shaped

from jaxrec.schema import UNKNOWN_AGE

DAY = 86_400
"""Seconds in a day."""

MAX_GAP = 1 << 30
"""Seconds, 34 years; gaps and ages of this length or longer are unknown."""

GAP_EDGES = (0, *(1 << power for power in range(30)))
"""The shortest gap of each bucket, in seconds: bucket 1 is zero, 2 one second, 3 two or three,
4 four to seven, up to MAX_GAP."""


def gap_ids(seconds: Int[np.ndarray, "*shape"]) -> Int32[np.ndarray, "*shape"]:
    """Return the bucket of each gap, from 1; 0 for gaps that are negative or too long."""
    # Rounded to float32 as on a device, where 2^25 - 1 becomes 2^25, and 2^30 - 1 is too long.
    rounded = seconds.astype(np.float32)
    ids = np.searchsorted(GAP_EDGES, rounded, side="right")
    return np.where((rounded >= 0) & (rounded < MAX_GAP), ids, 0).astype(np.int32)


def gap_ids_from_ages(ages: Int32[np.ndarray, "n N"]) -> Int32[np.ndarray, "n N"]:
    """Return the bucket of the gap after each activity of histories.

    Args:
        ages: seconds from each activity to now, most recent last.
    """
    is_known = (ages >= 0) & (ages < MAX_GAP)
    next_ages = np.append(ages[:, 1:], np.zeros_like(ages[:, :1]), axis=1)
    next_known = np.append(is_known[:, 1:], np.ones_like(is_known[:, :1]), axis=1)
    gaps = np.where(is_known & next_known, ages.astype(np.int64) - next_ages, UNKNOWN_AGE)
    return gap_ids(gaps)


def whole_seconds(
    timestamps: Shaped[np.ndarray, "*shape"], ticks_per_second: int
) -> Int[np.ndarray, "*shape"]:
    """Convert timestamps to whole seconds, rounding down."""
    return (timestamps // ticks_per_second).astype(np.int64)
