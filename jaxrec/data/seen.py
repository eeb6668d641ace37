"""Seen: what each user had met before some moment. The only room that knows how that is kept.

On the host it is a list of ids a row (`Seen`). A training batch carries it to the device in one of
two forms, told apart by their type: a bit for each id of the catalogue, or the ids themselves. Bits
are looked up in a fifth of the time; ids are made in a time that does not grow with the catalogue.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from jaxrec.data.timelines import Timelines
from jaxrec.schema import PAD

SeenBatch = UInt8[np.ndarray, "n bytes"] | Int32[np.ndarray, "n most"]
"""Bits, id i at bit i % 8 of byte i // 8; or sorted ids, PAD before them."""

# Up to so many items a batch carries bits. Of 64 rows and 512 ids (two cores of an AMD EPYC), bits
# are looked up in 0.1 ms and ids in 0.2 to 1.1; a step takes 20 ms and more. To make the bits of
# the rows of a dispatch takes 34 ms at 3,416 items, and as much more as there are more items.
MOST_BITS = 1 << 15


@dataclass(frozen=True, eq=False)
class Seen:
    """The ids that were met in each of n rows, repeats and all, one row after the other.

    Attributes:
        ids: [m].
        offsets: row i's are `ids[offsets[i]:offsets[i + 1]]`, [n + 1].
    """

    ids: Int32[np.ndarray, " m"]
    offsets: Int[np.ndarray, " n_plus_1"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> Int[np.ndarray, " m"]:
        """The row of each id."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, rows: Int[np.ndarray, " k"]) -> "Seen":
        """Take some rows."""
        return _gather(self.ids, self.offsets[rows], self.offsets[rows + 1])

    def holds(self, ids_nk: Int[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Tell which of the ids of each row were met in it."""
        size = 1 + max(int(self.ids.max(initial=0)), int(ids_nk.max(initial=0)))
        met = np.sort(self.rows * size + self.ids)
        asked = np.arange(len(self))[:, None] * size + ids_nk
        found = np.searchsorted(met, asked)
        return np.append(met, -1)[found] == asked

    def as_batch(self, catalogue_size: int, most: int) -> SeenBatch:
        """Give the form that a training batch carries: it depends on the catalogue alone.

        Args:
            catalogue_size: V.
            most: ids that a row can have, here or in another batch; if none, the form is ids.
        """
        if most and catalogue_size <= MOST_BITS:
            # By one flat index, which is twice as fast as two.
            met = np.zeros((len(self), catalogue_size + 1), bool)
            met.reshape(-1)[self.rows * met.shape[1] + self.ids] = True
            return np.packbits(met, axis=1, bitorder="little")
        ids = np.full((len(self), most), PAD, np.int32)
        ids[np.arange(most) >= most - np.diff(self.offsets)[:, None]] = self.ids
        return np.sort(ids, axis=1)


def seen_before(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> Seen:
    """List every item that came before each position, however long ago."""
    return _gather(timelines.items, timelines.offsets[timelines.users_of(positions)], positions)


def met_before(timelines: Timelines, positions: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Tell at which positions the user had met the item before."""
    return seen_before(timelines, positions).holds(timelines.items[positions][:, None])[:, 0]


def seen_in(histories: Int32[np.ndarray, "n N"]) -> Seen:
    """List the ids of histories, PAD too."""
    count, length = histories.shape
    return Seen(histories.reshape(-1), np.arange(count + 1) * length)


def met_in_batch(seen: Any, ids_S: Any) -> Any:
    """Tell which of some ids each row of a batch has met, [n, S] bool.

    Args:
        seen: either form, [n, _], of NumPy or of JAX: only operators are used.
        ids_S: the same ids for all rows.
    """
    if seen.dtype == np.uint8:
        return ((seen[:, ids_S // 8] >> (ids_S % 8).astype(np.uint8)) & 1) == 1
    if seen.shape[1] == 0:
        return np.zeros((seen.shape[0], 1), seen.dtype) * ids_S != 0
    # A binary search, for all rows and ids at once: how many ids of the row are smaller?
    rows, most = np.arange(seen.shape[0])[:, None], seen.shape[1]
    smaller_nS = 0 * seen[:, :1] + 0 * ids_S
    for step in reversed([1 << bit for bit in range(most.bit_length())]):
        is_within_nS = (smaller_nS + step <= most).astype(seen.dtype)
        last_nS = is_within_nS * (smaller_nS + step - 1)
        is_smaller_nS = (seen[rows, last_nS] < ids_S).astype(seen.dtype)
        smaller_nS += step * is_within_nS * is_smaller_nS
    place_nS = smaller_nS - (smaller_nS == most).astype(seen.dtype)
    return seen[rows, place_nS] == ids_S


def _gather(
    ids: Int32[np.ndarray, " m"], starts: Int[np.ndarray, " n"], ends: Int[np.ndarray, " n"]
) -> Seen:
    """Take slices of a flat array as rows."""
    counts = ends - starts
    offsets = np.concatenate([[0], np.cumsum(counts)])
    # Where each slice lies in the array, less where it lies in the answer.
    shifts = np.repeat(starts - offsets[:-1], counts)
    return Seen(ids[np.arange(offsets[-1]) + shifts], offsets)
