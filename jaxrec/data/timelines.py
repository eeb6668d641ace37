"""Timelines: every user's activities in order of time, and histories gathered from them by index.

All activities of all users lie in one flat array per feature, a user's timeline between two
offsets. A history is a slice of it, taken when it is needed; nothing is stored per example.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32, Shaped

from jaxrec.schema import ITEM, PAD


@dataclass(frozen=True)
class Timelines:
    """The log by user and time. A position is an index into the flat arrays, 0 to n - 1.

    Attributes:
        activities: ids of each feature, {name: [n]}.
        offsets: user u's positions are `offsets[u]` to `offsets[u + 1] - 1`, [U + 1].
        timestamps: the time of each position, never falling within a user, [n].
    """

    activities: dict[str, Int32[np.ndarray, " n"]]
    offsets: Int[np.ndarray, " U_plus_1"]
    timestamps: Shaped[np.ndarray, " n"]

    @property
    def items(self) -> Int32[np.ndarray, " n"]:
        """The item id of each position."""
        return self.activities[ITEM]

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Number of activities of each user."""
        return np.diff(self.offsets)

    def users_of(self, positions: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Give the user, 0 to U - 1, whose timeline holds each position."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def histories(
        self, positions: Int[np.ndarray, " B"], length: int
    ) -> dict[str, Int32[np.ndarray, "B L"]]:
        """Gather what came before each position, most recent last, PAD on the left."""
        starts = self.offsets[self.users_of(positions)]
        return self.windows(starts, positions, length)

    def windows(
        self, starts: Int[np.ndarray, "*B"], ends: Int[np.ndarray, "*B"], length: int
    ) -> dict[str, Int32[np.ndarray, "*B L"]]:
        """Gather every feature of the last `length` activities of each slice [start, end)."""
        return {name: gather(ids, starts, ends, length) for name, ids in self.activities.items()}


def gather(
    values: Int32[np.ndarray, " n"],
    starts: Int[np.ndarray, "*B"],
    ends: Int[np.ndarray, "*B"],
    length: int,
) -> Int32[np.ndarray, "*B L"]:
    """Take the last `length` values of each slice [start, end), PAD on the left of short ones."""
    positions = ends[..., None] + np.arange(-length, 0)
    inside = positions >= starts[..., None]
    return np.where(inside, values[np.where(inside, positions, 0)], np.int32(PAD))
