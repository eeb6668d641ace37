"""Batches for training: seeded order, fixed shapes, resumable at any dispatch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from jaxrec.data.buckets import bucket_edges, is_worth
from jaxrec.data.seen import seen_before
from jaxrec.data.splits import Split
from jaxrec.data.timelines import Timelines, gather
from jaxrec.schema import PAD


class Batch(NamedTuple):
    """Windows of users' timelines, in arrays of NumPy or of JAX.

    The K batches of a dispatch are one, with an axis more before B.

    Attributes:
        history: ids of each feature, {name: [B, L]}; most recent last, PAD on the left.
        targets: the item that follows each of the last W positions of the history, [B, W]; PAD
            where there is no target.
        weights: what each target counts, [B, W]; zero where there is none, and of targets that
            are not to be learned.
        seen: the items that the user met before the first target of each row, as `seen` keeps them,
            [B, _]; None where the loss does not leave them out.
        labels: the label id of each target by the name of a head, {name: [B, W]}; 0 where there is
            none.
    """

    history: Mapping[str, Any]
    targets: Any
    weights: Any
    seen: Any
    labels: Mapping[str, Any] = {}


class WindowShape(NamedTuple):
    """The windows of a step.

    Attributes:
        length: W, targets.
        lead_in: how far a window's history reaches back before its first target's predecessor.
        batch_size: B, windows.
        rows: what B is a multiple of, in steps of shorter timelines too.
    """

    length: int
    lead_in: int
    batch_size: int
    rows: int = 1


class Share(NamedTuple):
    """Which part of each batch is gathered: parts [first, end) of so many that are as large.

    A process gathers what its own devices work on.
    """

    first: int = 0
    end: int = 1
    of: int = 1


ALL = Share()


class Windows(NamedTuple):
    """Slices of timelines: targets [first, end), read from the timeline's start on."""

    starts: Int[np.ndarray, " n"]
    firsts: Int[np.ndarray, " n"]
    ends: Int[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Bucket:
    """Windows that are gathered in one shape.

    Attributes:
        users: whose timelines are cut, [U].
        shape: of a step.
        is_whole: whether each timeline is one window.
        windows: how many there are, n.
        steps_per_dispatch: K ...
        dispatches: ... in an epoch.
    """

    users: Int[np.ndarray, " U"]
    shape: WindowShape
    is_whole: bool
    windows: int
    steps_per_dispatch: int
    dispatches: int

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.steps_per_dispatch * self.dispatches


class TrainingBatches:
    """Every training target once an epoch, in windows of one user's targets.

    Timelines are cut into windows of up to W targets, at a new random phase in each epoch. Where
    many fit into a window with its lead-in, each of these is one window, and is gathered with those
    of about its length. So there are a few shapes of batches; those of a dispatch have one.

    The batches of a dispatch are a pure function of the seed and the dispatch's number: nothing
    needs to be saved to resume. In each epoch the windows of a shape are shuffled over all users,
    and so are the dispatches. A step that is not full has rows of padding alone.
    """

    def __init__(
        self,
        timelines: Timelines,
        split: Split,
        shape: WindowShape,
        *,
        labels: Mapping[str, Int32[np.ndarray, " n"]] = MappingProxyType({}),
        weights: Float32[np.ndarray, " n"] | None = None,
        seen_of: int | None,
        max_steps_per_dispatch: int,
        seed: int,
        share: Share = ALL,
    ):
        """Count the steps.

        Args:
            timelines: the log.
            split: which of it is learned.
            shape: of a step of long timelines.
            labels: the label id of each activity by the name of a head.
            weights: what each position counts as a target; None: all the same.
            seen_of: the size of the catalogue, to tell what was seen; None tells nothing.
            max_steps_per_dispatch: K, at the most.
            seed: seed of phases and order.
            share: what is gathered of each batch; which windows are in it depends on no share.
        """
        lengths = split.training_ends - timelines.offsets[:-1]
        self.shape = shape
        self._timelines = timelines
        self._targets = np.where(split.is_training_target, timelines.items, np.int32(PAD))
        self._labels = {
            name: np.where(self._targets != PAD, ids, 0) for name, ids in labels.items()
        }
        self._weights = weights
        self._training_ends = split.training_ends
        self._longest = int(lengths.max())
        self._seen_of = seen_of
        self._seed = seed
        self._share = share
        self._buckets = cut_into_buckets(lengths, shape, max_steps_per_dispatch)
        self._plan = lru_cache(maxsize=1)(self._shuffle)

        self.shapes = len(self._buckets)
        self.targets_per_epoch = int(split.is_training_target.sum())
        self.dispatches_per_epoch = sum(each.dispatches for each in self._buckets)
        self.steps_per_epoch = sum(each.steps for each in self._buckets)

    def dispatch(self, number: int) -> Batch:
        """Gather the batches of dispatch 0, 1, 2, ... of the whole training."""
        epoch, within = divmod(number, self.dispatches_per_epoch)
        of_buckets, order = self._plan(epoch)
        which, nth = order[within]
        return self._gather(self._buckets[which], of_buckets[which], nth)

    def _shuffle(self, epoch: int) -> tuple[list[Windows], list[tuple[int, int]]]:
        """Give each bucket's windows, and for each dispatch its bucket and its number therein."""
        rng = np.random.default_rng([self._seed, epoch])
        of_buckets = []
        for bucket in self._buckets:
            starts = self._timelines.offsets[bucket.users]
            ends = self._training_ends[bucket.users]
            windows = (
                Windows(starts, starts, ends)
                if bucket.is_whole
                else cut_windows(starts, ends, bucket.shape.length, rng)
            )
            order = rng.permutation(bucket.windows)
            of_buckets.append(Windows(*(each[order] for each in windows)))
        dispatches = [
            (which, nth)
            for which, bucket in enumerate(self._buckets)
            for nth in range(bucket.dispatches)
        ]
        return of_buckets, [dispatches[i] for i in rng.permutation(len(dispatches))]

    def _gather(self, bucket: Bucket, windows: Windows, nth: int) -> Batch:
        """Gather a bucket's nth dispatch; each of its steps has its equal share of the windows."""
        count, shape = bucket.steps_per_dispatch, bucket.shape
        steps = np.arange(nth * count, (nth + 1) * count)[:, None]
        part = shape.batch_size // self._share.of
        own = np.arange(self._share.first * part, self._share.end * part)
        rows = bucket.windows * steps // bucket.steps + own
        is_there = rows < bucket.windows * (steps + 1) // bucket.steps
        # A row of padding is an empty slice of the first timeline.
        starts, firsts, ends = (
            np.where(is_there, each.take(rows, mode="clip"), 0) for each in windows
        )
        history = self._timelines.windows(starts, ends - 1, shape.length + shape.lead_in)
        targets = gather(self._targets, firsts, ends, shape.length)
        counted = (targets != PAD).astype(np.float32)
        if self._weights is not None:
            counted *= gather(self._weights, firsts, ends, shape.length)
        seen = None
        if self._seen_of is not None:
            met = seen_before(self._timelines, firsts.reshape(-1))
            most = 0 if bucket.is_whole else self._longest
            seen = met.as_batch(self._seen_of, most).reshape(*rows.shape, -1)
        labels = {
            name: gather(ids, firsts, ends, shape.length) for name, ids in self._labels.items()
        }
        return Batch(history, targets, counted, seen, labels)


def cut_into_buckets(
    lengths: Int[np.ndarray, " U"], shape: WindowShape, most_steps: int
) -> list[Bucket]:
    """Sort timelines into buckets; those without an activity are in none.

    Args:
        lengths: of the timelines.
        shape: of a step of those that are longer than a window with its lead-in.
        most_steps: in a dispatch.
    """
    whole, edges = _whole_timelines(lengths, shape)
    buckets = []
    for shorter, edge in pairwise([0, *edges]):
        users = np.flatnonzero(whole & (lengths > shorter) & (lengths <= edge))
        # About as many targets in a step of any shape.
        size = shape.batch_size * shape.length / edge
        cut = WindowShape(edge, 0, max(1, round(size / shape.rows)) * shape.rows)
        buckets.append(_bucket(users, cut, True, len(users), most_steps))
    users = np.flatnonzero(~whole & (lengths > 0))
    if len(users):
        windows = int((lengths[users] // shape.length + 1).sum())
        buckets.append(_bucket(users, shape, False, windows, most_steps))
    return buckets


def _whole_timelines(
    lengths: Int[np.ndarray, " U"], shape: WindowShape
) -> tuple[Bool[np.ndarray, " U"], list[int]]:
    """Tell which timelines are one window, and the lengths that these are padded to.

    Where little is saved, none is: all are cut, and there is one shape.
    """
    size = shape.length + shape.lead_in
    positions = size * np.where(lengths > 0, lengths // shape.length + 1, 0)
    whole = (lengths > 0) & (lengths <= size)
    if whole.any():
        beside = int(positions[~whole].sum())
        edges = bucket_edges(lengths[whole], beside=beside)
        padded = int(np.array(edges)[np.searchsorted(edges, lengths[whole])].sum())
        saved = int(positions[whole].sum()) - padded
        if beside == 0 or is_worth(saved, of=positions.sum()):
            return whole, edges
    return np.zeros_like(whole), []


def _bucket(
    users: Int[np.ndarray, " U"],
    shape: WindowShape,
    is_whole: bool,
    windows: int,
    most_steps: int,
) -> Bucket:
    """Choose how many steps a dispatch has: those that leave the least to padding."""
    steps = -(-windows // shape.batch_size)
    choices = range(-(-most_steps // 2), most_steps + 1)
    count = steps if steps <= most_steps else min(choices, key=lambda k: (-steps % k, -k))
    return Bucket(users, shape, is_whole, windows, count, -(-steps // count))


def cut_windows(
    starts: Int[np.ndarray, " U"],
    ends: Int[np.ndarray, " U"],
    length: int,
    rng: np.random.Generator,
) -> Windows:
    """Cut each slice [start, end) into windows of up to `length`, at a random phase.

    A slice of T has T // length + 1 windows whatever the phase, so that every epoch has as many:
    they end at length - r, 2 length - r, ... and the last at T. It is empty where nothing is left.
    """
    lengths = ends - starts
    counts = np.where(lengths > 0, lengths // length + 1, 0)
    slack = np.minimum(counts * length - lengths, length - 1)
    phases = rng.integers(0, np.maximum(slack, 0) + 1)
    user = np.repeat(np.arange(len(starts)), counts)
    number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    window_firsts = np.maximum(number * length - phases[user], 0)
    window_ends = np.minimum((number + 1) * length - phases[user], lengths[user])
    own = starts[user]
    return Windows(own, own + window_firsts, own + window_ends)
