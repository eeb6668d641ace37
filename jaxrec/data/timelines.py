"""Timelines: users' activities in order of time, and histories gathered from them by index.

Each feature is one flat array over the activities of all users; offsets delimit a user's timeline.
A history is a slice of these, gathered on demand; nothing is stored per example.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int, Int32, Shaped

from jaxrec.data.gaps import MAX_GAP, whole_seconds
from jaxrec.schema import ITEM, PAD, UNKNOWN_AGE


@dataclass(frozen=True, eq=False)
class Timelines:
    """A log sorted by user and time. A position is an index into the flat arrays, 0 to n - 1.

    Attributes:
        activities: ids of each feature, {name: [n]}.
        offsets: user u's positions are `offsets[u]` to `offsets[u + 1] - 1`, [U + 1].
        timestamps: the time of each position, non-decreasing within a user, [n].
        users: ids of each feature of a user, {name: [U]}.
        ticks_per_second: unit of the timestamps; None if unknown.
        moments: ids of each feature of the moment of a position, {name: [n]}.
    """

    activities: dict[str, Int32[np.ndarray, " n"]]
    offsets: Int[np.ndarray, " U_plus_1"]
    timestamps: Shaped[np.ndarray, " n"]
    users: dict[str, Int32[np.ndarray, " U"]] = field(default_factory=dict)
    ticks_per_second: int | None = None
    moments: dict[str, Int32[np.ndarray, " n"]] = field(default_factory=dict)

    @property
    def items(self) -> Int32[np.ndarray, " n"]:
        """Item id of each position."""
        return self.activities[ITEM]

    @property
    def lengths(self) -> Int[np.ndarray, " U"]:
        """Number of activities of each user."""
        return np.diff(self.offsets)

    def users_of(self, positions: Int[np.ndarray, "*B"]) -> Int[np.ndarray, "*B"]:
        """Return the user, 0 to U - 1, whose timeline contains each position."""
        return np.searchsorted(self.offsets, positions, side="right") - 1

    def histories(
        self, positions: Int[np.ndarray, " B"], length: int
    ) -> dict[str, Int32[np.ndarray, "B *L"]]:
        """Gather the `windows` before each position, and the features of its moment, [B]."""
        starts = self.offsets[self.users_of(positions)]
        moments = {name: ids[positions] for name, ids in self.moments.items()}
        return self.windows(starts, positions, length) | moments

    def ages(self, positions: Int[np.ndarray, " B"], length: int) -> Int32[np.ndarray, "B L"]:
        """Return the ages of the last `length` activities before each position, at its time.

        Ages are in seconds; UNKNOWN_AGE for padding, and for ages of MAX_GAP or more.
        """
        assert self.ticks_per_second is not None
        # Rounded before the subtraction, as an app does that stores whole seconds.
        seconds = whole_seconds(self.timestamps, self.ticks_per_second)
        starts = self.offsets[self.users_of(positions)]
        places = positions[:, None] + np.arange(-length, 0)
        ages = seconds[positions][:, None] - seconds[np.maximum(places, 0)]
        is_known = (places >= starts[:, None]) & (ages < MAX_GAP)
        return np.where(is_known, ages, UNKNOWN_AGE).astype(np.int32)

    def windows(
        self, starts: Int[np.ndarray, "*B"], ends: Int[np.ndarray, "*B"], length: int
    ) -> dict[str, Int32[np.ndarray, "*B L"]]:
        """Gather every feature of the last `length` activities of each slice [start, end).

        Most recent last, PAD on the left. Features of each slice's user, [*B], are added, and for
        each activity those of the moment of the next one, [*B, L].
        """
        windows = {name: gather(ids, starts, ends, length) for name, ids in self.activities.items()}
        users = self.users_of(starts) if self.users else None
        return {
            **windows,
            **{name: ids[users] for name, ids in self.users.items()},
            **{name: gather(ids, starts, ends + 1, length) for name, ids in self.moments.items()},
        }


def gather(
    values: Shaped[np.ndarray, " n"],
    starts: Int[np.ndarray, "*B"],
    ends: Int[np.ndarray, "*B"],
    length: int,
) -> Shaped[np.ndarray, "*B L"]:
    """Gather the last `length` values of each slice [start, end); PAD on the left of short ones."""
    positions = ends[..., None] + np.arange(-length, 0)
    inside = positions >= starts[..., None]
    # Positions outside read the first value, which PAD then replaces.
    return np.where(inside, values[np.where(inside, positions, 0)], values.dtype.type(PAD))
