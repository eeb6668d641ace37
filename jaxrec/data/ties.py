"""Ties: activities of one user with equal times, and a seeded order among them.

Without a seed, activities with equal times keep the order of the source. If that order has to do
with the items, as in a log sorted by item, it determines which of them are targets.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import polars as pl
from jaxtyping import UInt64

from jaxrec.data.sources.log_config import NO_TIMES, LogConfig
from jaxrec.errors import UserError

_IDENTITY = ("user", "timestamp", "item")

# Multipliers of the finalizer of SplitMix64 (Steele et al., 2014, Fast Splittable Pseudorandom
# Number Generators).
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def require_times(break_ties: int | None, log: LogConfig) -> None:
    """Check that a log whose ties are to be broken has times.

    Raises:
        UserError: it has none.
    """
    if break_ties is not None and log.time == NO_TIMES:
        raise UserError(
            f"--break-ties={break_ties} and --log.time={NO_TIMES} exclude each other: without "
            "times the order of the rows is all that is known; omit one of them"
        )


def mask_ties(ordered: pl.DataFrame) -> pl.Series:
    """Return the mask of the rows that have the user and the time of the row before.

    Args:
        ordered: a log sorted by user and time.
    """
    users, times = ordered["user"], ordered["timestamp"]
    return users.eq_missing(users.shift()) & times.eq_missing(times.shift())


def break_ties(ordered: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return a log with rows of equal user and time in an order drawn for them.

    The order depends on the seed and the rows themselves: neither on their order before, nor on
    other rows.

    Args:
        ordered: a log sorted by user and time.
        seed: 0 to 2^64 - 1; another seed draws another order.
    """
    is_tied = mask_ties(ordered)
    rows = np.flatnonzero((is_tied | is_tied.shift(-1, fill_value=False)).to_numpy())
    if not len(rows):
        return ordered
    tied = ordered[rows]
    groups = np.cumsum(~is_tied.to_numpy()[rows])
    keys = _hash_rows(tied, _IDENTITY, seed)
    # Rows of the same item are ordered by their other columns, whatever the order of the columns.
    others = sorted(set(ordered.columns) - set(_IDENTITY))
    order = np.arange(ordered.height)
    order[rows] = rows[np.lexsort((_hash_rows(tied, others, seed), keys, groups))]
    return ordered[order]


def _hash_rows(table: pl.DataFrame, names: Sequence[str], seed: int) -> UInt64[np.ndarray, " n"]:
    """Return a hash of each row's values in some columns; it is the same on every machine."""
    hashes = np.full(table.height, seed, np.uint64)
    for name in names:
        distinct = table[name].unique()
        digests = [
            int.from_bytes(blake2b(repr(each).encode(), digest_size=8).digest(), "little")
            for each in distinct.to_list()
        ]
        numbers = table[name].replace_strict(
            distinct, pl.int_range(len(digests), eager=True), return_dtype=pl.Int64
        )
        hashes = _mix(hashes ^ np.array(digests, np.uint64)[numbers.to_numpy()])
    return hashes


def _mix(values: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """Mix the bits of each value, so that each bit of the result depends on all of them."""
    first, second = _MULTIPLIERS
    values = values + np.uint64(0x9E3779B97F4A7C15)  # Arrays of unsigned integers wrap around.
    values = (values ^ (values >> np.uint64(30))) * first
    values = (values ^ (values >> np.uint64(27))) * second
    return values ^ (values >> np.uint64(31))
