"""Seen items, which candidates exclude: those that a user interacted with before a position.

Their representation is private to this module. On the host it is a list of ids per row (`Seen`). A
training batch has them in one of two forms, distinguished by dtype: a bit for each id of the
catalogue, or the ids. Look-ups in bits take a fifth of the time; building ids takes a time that is
independent of the size of the catalogue.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from jaxrec.data.timelines import Timelines
from jaxrec.schema import PAD

SeenBatch = UInt8[np.ndarray, "n bytes"] | Int32[np.ndarray, "n most"]
"""Bits, id i at bit i % 8 of byte i // 8; or sorted ids, with PAD on the left."""

# Largest catalogue for which batches carry bits. With 64 rows and 512 ids (two cores of an AMD
# EPYC), a look-up takes 0.1 ms in bits and 0.2 to 1.1 ms in ids; a step takes 20 ms and more.
# Building the bits of a dispatch takes 34 ms at 3,416 items, and grows linearly with their number.
MOST_BITS = 1 << 15


@dataclass(frozen=True, eq=False)
class Seen:
    """The ids seen in each of n rows, with repeats.

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

    def take(self, rows: Int[np.ndarray, " k"]) -> "Seen":
        """Return the seen ids of the given rows."""
        return _gather(self.ids, self.offsets[rows], self.offsets[rows + 1])

    def holds(self, ids_nk: Int[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Return a mask of the given ids of each row that were seen in it."""
        size = 1 + max(int(self.ids.max(initial=0)), int(ids_nk.max(initial=0)))
        seen_keys = np.sort(self.rows * size + self.ids)
        keys = np.arange(len(self))[:, None] * size + ids_nk
        found = np.searchsorted(seen_keys, keys)
        return np.append(seen_keys, -1)[found] == keys

    def as_batch(self, catalogue_size: int, most: int) -> SeenBatch:
        """Convert to the form of a training batch, which is the same for all batches of a shape.

        Args:
            catalogue_size: V; up to MOST_BITS the form is bits.
            most: largest number of ids in a row of any batch of the shape; if 0, the form is ids.
        """
        if most and catalogue_size <= MOST_BITS:
            # One flat index is twice as fast as an index for each axis.
            is_seen = np.zeros((len(self), catalogue_size + 1), bool)
            is_seen.reshape(-1)[self.rows * is_seen.shape[1] + self.ids] = True
            return np.packbits(is_seen, axis=1, bitorder="little")
        ids = np.full((len(self), most), PAD, np.int32)
        ids[np.arange(most) >= most - np.diff(self.offsets)[:, None]] = self.ids
        return np.sort(ids, axis=1)


def seen_before(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> Seen:
    """Return all items of the user before each position, however long ago."""
    return _gather(timelines.items, timelines.offsets[timelines.users_of(positions)], positions)


def met_before(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return a mask of the positions whose item the user had interacted with before."""
    return seen_before(timelines, positions).holds(timelines.items[positions][:, None])[:, 0]


def seen_in(histories: Int32[np.ndarray, "n N"]) -> Seen:
    """Return the ids of histories, PAD included."""
    count, length = histories.shape
    return Seen(histories.reshape(-1), np.arange(count + 1) * length)


def met_in_batch(seen: Any, ids_S: Any) -> Any:
    """Return a mask of the ids that are seen in each row of a batch, [n, S] bool.

    Args:
        seen: either form, [n, _], as NumPy or JAX array: only operators common to both are used.
        ids_S: the same ids for all rows.
    """
    if seen.dtype == np.uint8:
        return ((seen[:, ids_S // 8] >> (ids_S % 8).astype(np.uint8)) & 1) == 1
    if seen.shape[1] == 0:
        return np.zeros((seen.shape[0], 1), seen.dtype) * ids_S != 0
    # Binary search for all rows and ids at once; smaller_nS counts the smaller ids of the row.
    rows, most = np.arange(seen.shape[0])[:, None], seen.shape[1]
    smaller_nS = 0 * seen[:, :1] + 0 * ids_S  # zeros of NumPy or JAX, [n, S]
    for step in reversed([1 << bit for bit in range(most.bit_length())]):
        is_within_nS = (smaller_nS + step <= most).astype(seen.dtype)
        last_nS = is_within_nS * (smaller_nS + step - 1)
        is_smaller_nS = (seen[rows, last_nS] < ids_S).astype(seen.dtype)
        smaller_nS += step * is_within_nS * is_smaller_nS
    index_nS = smaller_nS - (smaller_nS == most).astype(seen.dtype)
    return seen[rows, index_nS] == ids_S


def _gather(
    ids: Int32[np.ndarray, " m"], starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> Seen:
    """Gather slices of a flat array as rows."""
    counts = ends - starts
    offsets = np.concatenate([[0], np.cumsum(counts)])
    # Start of each slice in the flat array, less its start in the result.
    shifts = np.repeat(starts - offsets[:-1], counts)
    return Seen(ids[np.arange(offsets[-1]) + shifts], offsets)
