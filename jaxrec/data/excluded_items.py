"""Items that candidates exclude: those that a user interacted with before a position.

Their representation is private to this module. On the host it is a list of ids per row
(`ExcludedItems`). A training batch has them in one of two forms, distinguished by dtype: a bit for
each id of the catalogue, or the ids. Look-ups in bits take a fifth of the time; building ids takes
a time that is independent of the size of the catalogue.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from jaxrec.data.timelines import Timelines
from jaxrec.schema import PAD

ExcludedBatch = UInt8[np.ndarray, "n bytes"] | Int32[np.ndarray, "n max_ids"]
"""Bits, id i at bit i % 8 of byte i // 8; or sorted ids, with PAD on the left."""

# Largest catalogue for which batches carry bits. With 64 rows and 512 ids (two cores of an AMD
# EPYC), a look-up takes 0.1 ms in bits and 0.2 to 1.1 ms in ids; a step takes 20 ms and more.
# Building the bits of a dispatch takes 34 ms at 3,416 items, and grows linearly with their number.
MAX_BITSET_SIZE = 1 << 15


@dataclass(frozen=True, eq=False)
class ExcludedItems:
    """The excluded ids of each of n rows, with repeats.

    Attributes:
        ids: ids of all rows, concatenated, [m].
        offsets: row i has `ids[offsets[i]:offsets[i + 1]]`, [n + 1].
    """

    ids: Int32[np.ndarray, " m"]
    offsets: Int[np.ndarray, " n_plus_1"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> Int[np.ndarray, " m"]:
        """Row of each id."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def gather(self, rows: Int[np.ndarray, " k"]) -> "ExcludedItems":
        """Return the excluded ids of the given rows."""
        return _gather(self.ids, self.offsets[rows], self.offsets[rows + 1])

    def contains(self, ids_nk: Int[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Return a mask of the given ids of each row that it excludes."""
        size = 1 + max(int(self.ids.max(initial=0)), int(ids_nk.max(initial=0)))
        excluded_keys = np.sort(self.rows * size + self.ids)
        keys = np.arange(len(self))[:, None] * size + ids_nk
        found = np.searchsorted(excluded_keys, keys)
        return np.append(excluded_keys, -1)[found] == keys

    def as_batch(self, catalogue_size: int, max_ids: int) -> ExcludedBatch:
        """Convert to the form of a training batch, which is the same for all batches of a shape.

        Args:
            catalogue_size: V; up to MAX_BITSET_SIZE the form is bits.
            max_ids: largest number of ids in a row of any batch of the shape; 0: the form is ids.
        """
        if max_ids and catalogue_size <= MAX_BITSET_SIZE:
            # One flat index is twice as fast as an index for each axis.
            is_excluded = np.zeros((len(self), catalogue_size + 1), bool)
            is_excluded.reshape(-1)[self.rows * is_excluded.shape[1] + self.ids] = True
            return np.packbits(is_excluded, axis=1, bitorder="little")
        ids = np.full((len(self), max_ids), PAD, np.int32)
        ids[np.arange(max_ids) >= max_ids - np.diff(self.offsets)[:, None]] = self.ids
        return np.sort(ids, axis=1)


def items_before(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> ExcludedItems:
    """Return all items of the user before each position, however long ago."""
    return _gather(timelines.items, timelines.offsets[timelines.users_of(positions)], positions)


def repeat_mask(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return a mask of the positions whose item the user had interacted with before."""
    return items_before(timelines, positions).contains(timelines.items[positions][:, None])[:, 0]


def items_in(histories: Int32[np.ndarray, "n N"]) -> ExcludedItems:
    """Return the ids of histories, PAD included."""
    count, length = histories.shape
    return ExcludedItems(histories.reshape(-1), np.arange(count + 1) * length)


def excluded_mask(excluded: Any, ids_S: Any) -> Any:
    """Return a mask of the ids that are excluded in each row of a batch, [n, S] bool.

    Args:
        excluded: either form, [n, _], as NumPy or JAX array: only operators common to both are
            used.
        ids_S: the same ids for all rows.
    """
    if excluded.dtype == np.uint8:
        return ((excluded[:, ids_S // 8] >> (ids_S % 8).astype(np.uint8)) & 1) == 1
    if excluded.shape[1] == 0:
        return np.zeros((excluded.shape[0], 1), excluded.dtype) * ids_S != 0
    # Binary search for all rows and ids at once; smaller_nS counts the smaller ids of the row.
    rows, width = np.arange(excluded.shape[0])[:, None], excluded.shape[1]
    smaller_nS = 0 * excluded[:, :1] + 0 * ids_S  # zeros of NumPy or JAX, [n, S]
    for step in reversed([1 << bit for bit in range(width.bit_length())]):
        is_within_nS = (smaller_nS + step <= width).astype(excluded.dtype)
        last_nS = is_within_nS * (smaller_nS + step - 1)
        is_smaller_nS = (excluded[rows, last_nS] < ids_S).astype(excluded.dtype)
        smaller_nS += step * is_within_nS * is_smaller_nS
    index_nS = smaller_nS - (smaller_nS == width).astype(excluded.dtype)
    return excluded[rows, index_nS] == ids_S


def _gather(
    ids: Int32[np.ndarray, " m"], starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> ExcludedItems:
    """Gather slices of a flat array as rows."""
    counts = ends - starts
    offsets = np.concatenate([[0], np.cumsum(counts)])
    # Start of each slice in the flat array, less its start in the result.
    shifts = np.repeat(starts - offsets[:-1], counts)
    return ExcludedItems(ids[np.arange(offsets[-1]) + shifts], offsets)
