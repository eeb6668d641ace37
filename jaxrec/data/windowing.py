"""Windows of timelines for training, and buckets of windows that share one shape."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jaxrec.data.buckets import bucket_edges, saves_enough


class WindowShape(NamedTuple):
    """Shape of the windows of a step.

    Attributes:
        length: W, targets per window.
        overlap: number of activities in the history before the first target's predecessor.
        batch_size: B, windows per step.
        batch_multiple: B is a multiple of this, also in steps of shorter timelines.
    """

    length: int
    overlap: int
    batch_size: int
    batch_multiple: int = 1


class BatchShard(NamedTuple):
    """The part of each batch that a process gathers for its devices.

    These are parts [first, end) of `total` equal parts.
    """

    first: int = 0
    end: int = 1
    total: int = 1


WHOLE_BATCH = BatchShard()


class Windows(NamedTuple):
    """Slices of timelines: targets [first, end), with histories from the timeline's start on."""

    starts: Int[np.ndarray, " n"]
    firsts: Int[np.ndarray, " n"]
    ends: Int[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Bucket:
    """Windows that are gathered in one shape.

    Attributes:
        users: the users whose timelines are cut, [U].
        shape: of a step.
        is_single_window: whether each timeline is a single window.
        windows: number of windows in an epoch, n.
        steps_per_dispatch: K.
        dispatches: number of dispatches in an epoch.
    """

    users: Int[np.ndarray, " U"]
    shape: WindowShape
    is_single_window: bool
    windows: int
    steps_per_dispatch: int
    dispatches: int

    @property
    def steps(self) -> int:
        """Number of steps in an epoch."""
        return self.steps_per_dispatch * self.dispatches


def cut_into_buckets(
    lengths: Int[np.ndarray, " U"], shape: WindowShape, max_steps: int
) -> list[Bucket]:
    """Assign timelines to buckets; empty timelines are in none.

    Args:
        lengths: of the timelines.
        shape: of steps with timelines that are longer than a window with its overlap.
        max_steps: upper limit of the steps of a dispatch.
    """
    is_single, edges = _select_single_windows(lengths, shape)
    buckets = []
    for shorter, edge in pairwise([0, *edges]):
        users = np.flatnonzero(is_single & (lengths > shorter) & (lengths <= edge))
        # Steps of all shapes have about the same number of targets.
        size = shape.batch_size * shape.length / edge
        bucket_shape = WindowShape(
            edge, 0, max(1, round(size / shape.batch_multiple)) * shape.batch_multiple
        )
        buckets.append(_make_bucket(users, bucket_shape, True, len(users), max_steps))
    users = np.flatnonzero(~is_single & (lengths > 0))
    if len(users):
        windows = int((lengths[users] // shape.length + 1).sum())
        buckets.append(_make_bucket(users, shape, False, windows, max_steps))
    return buckets


def _select_single_windows(
    lengths: Int[np.ndarray, " U"], shape: WindowShape
) -> tuple[Bool[np.ndarray, " U"], list[int]]:
    """Return which timelines are a single window, and the lengths that these are padded to.

    If that would save little, none is: all timelines are cut, and there is one shape.
    """
    size = shape.length + shape.overlap
    positions = size * np.where(lengths > 0, lengths // shape.length + 1, 0)
    is_single = (lengths > 0) & (lengths <= size)
    if is_single.any():
        fixed_positions = int(positions[~is_single].sum())
        edges = bucket_edges(lengths[is_single], fixed_positions=fixed_positions)
        padded = int(np.array(edges)[np.searchsorted(edges, lengths[is_single])].sum())
        saved = int(positions[is_single].sum()) - padded
        if fixed_positions == 0 or saves_enough(saved, total=positions.sum()):
            return is_single, edges
    return np.zeros_like(is_single), []


def _make_bucket(
    users: Int[np.ndarray, " U"],
    shape: WindowShape,
    is_single_window: bool,
    windows: int,
    max_steps: int,
) -> Bucket:
    """Build a bucket, with the number of steps per dispatch that needs the least padding."""
    steps = -(-windows // shape.batch_size)
    choices = range(-(-max_steps // 2), max_steps + 1)
    count = steps if steps <= max_steps else min(choices, key=lambda k: (-steps % k, -k))
    return Bucket(users, shape, is_single_window, windows, count, -(-steps // count))


def cut_windows(
    starts: Int[np.ndarray, " U"],
    ends: Int[np.ndarray, " U"],
    length: int,
    rng: np.random.Generator,
) -> Windows:
    """Cut each slice [start, end) into windows of up to `length` targets, at a random phase.

    A slice of T targets has T // length + 1 windows at any phase r, so every epoch has equally
    many. They end at length - r, 2 length - r, ... and T; the last is empty if no target is left.
    """
    lengths = ends - starts
    counts = np.where(lengths > 0, lengths // length + 1, 0)
    slack = np.minimum(counts * length - lengths, length - 1)
    phases = rng.integers(0, np.maximum(slack, 0) + 1)
    user = np.repeat(np.arange(len(starts)), counts)
    number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    window_firsts = np.maximum(number * length - phases[user], 0)
    window_ends = np.minimum((number + 1) * length - phases[user], lengths[user])
    timeline_starts = starts[user]
    return Windows(timeline_starts, timeline_starts + window_firsts, timeline_starts + window_ends)
