"""Batches for training: seeded order, fixed shapes, resumable at any dispatch."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32

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
        ratings: the rating of each target, as ids, [B, W]; 0 where there is none. None if ratings
            are not learned.
    """

    history: Mapping[str, Any]
    targets: Any
    weights: Any
    seen: Any
    ratings: Any = None


class WindowShape(NamedTuple):
    """The windows of a step.

    Attributes:
        length: W, targets.
        lead_in: how far a window's history reaches back before its first target's predecessor.
        batch_size: B, windows.
    """

    length: int
    lead_in: int
    batch_size: int


class TrainingBatches:
    """Every training target at least once an epoch, in windows of up to W of one user's targets.

    The batches of a dispatch are a pure function of the seed and the dispatch's number: nothing
    needs to be saved to resume. In each epoch every user's timeline is cut at a new random phase
    and the windows are shuffled over all users. The last dispatch of an epoch is filled up with the
    epoch's first windows.
    """

    def __init__(
        self,
        timelines: Timelines,
        split: Split,
        shape: WindowShape,
        *,
        ratings: Int32[np.ndarray, " n"] | None = None,
        weights: Float32[np.ndarray, " n"] | None = None,
        seen_of: int | None,
        max_steps_per_dispatch: int,
        seed: int,
    ):
        """Count the steps.

        Args:
            timelines: the log.
            split: which of it is learned.
            shape: of a step, where timelines are long enough.
            ratings: the id of each activity's rating, if ratings are learned.
            weights: what each position counts as a target; None: all the same.
            seen_of: the size of the catalogue, to tell what was seen; None tells nothing.
            max_steps_per_dispatch: K, at the most.
            seed: seed of phases and order.
        """
        lengths = split.training_ends - timelines.offsets[:-1]
        self._timelines = timelines
        self._targets = np.where(split.is_training_target, timelines.items, np.int32(PAD))
        self._ratings = None if ratings is None else np.where(self._targets != PAD, ratings, 0)
        self._weights = weights
        self._training_ends = split.training_ends
        self._longest = int(lengths.max())
        # Of short timelines, windows would be mostly padding.
        self._window = min(shape.length, self._longest)
        self._lead_in = min(shape.lead_in, max(self._longest - 1 - self._window, 0))
        self._seen_of = seen_of
        self._batch_size = shape.batch_size
        self._seed = seed
        self._windows_of = lru_cache(maxsize=1)(self._cut_and_shuffle)

        windows = int((lengths // self._window + 1)[lengths > 0].sum())
        self.targets_per_epoch = int(split.is_training_target.sum())
        steps = -(-windows // shape.batch_size)
        self.dispatches_per_epoch = -(-steps // max_steps_per_dispatch)
        self.steps_per_dispatch = -(-steps // self.dispatches_per_epoch)
        self.steps_per_epoch = self.dispatches_per_epoch * self.steps_per_dispatch

    def dispatch(self, number: int) -> Batch:
        """Gather the batches of dispatch 0, 1, 2, ... of the whole training."""
        epoch, within = divmod(number, self.dispatches_per_epoch)
        all_starts, all_ends = self._windows_of(epoch)
        shape = (self.steps_per_dispatch, self._batch_size)
        size = shape[0] * shape[1]
        rows = np.arange(within * size, (within + 1) * size).reshape(shape)
        starts = all_starts.take(rows, mode="wrap")
        ends = all_ends.take(rows, mode="wrap")
        history = self._timelines.windows(starts, ends - 1, self._window + self._lead_in)
        targets = gather(self._targets, starts, ends, self._window)
        counted = (targets != PAD).astype(np.float32)
        if self._weights is not None:
            counted *= gather(self._weights, starts, ends, self._window)
        seen = None
        if self._seen_of is not None:
            first_targets = np.maximum(starts, ends - self._window)
            met = seen_before(self._timelines, first_targets.reshape(-1))
            seen = met.as_batch(self._seen_of, self._longest).reshape(*shape, -1)
        ratings = None
        if self._ratings is not None:
            ratings = gather(self._ratings, starts, ends, self._window)
        return Batch(history, targets, counted, seen, ratings)

    def _cut_and_shuffle(self, epoch: int) -> tuple[Int[np.ndarray, " W"], Int[np.ndarray, " W"]]:
        rng = np.random.default_rng([self._seed, epoch])
        starts, ends = cut_windows(
            self._timelines.offsets[:-1], self._training_ends, self._window, rng
        )
        order = rng.permutation(len(ends))
        return starts[order], ends[order]


def cut_windows(
    starts: Int[np.ndarray, " U"],
    ends: Int[np.ndarray, " U"],
    length: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " W"], Int[np.ndarray, " W"]]:
    """Cover each slice [start, end) with windows of `length`, at a random phase.

    A slice of T has T // length + 1 windows whatever the phase, so that every epoch has as many:
    they end at length - r, 2 length - r, ... and the last at T, for an r that leaves no gap.

    Returns:
        The start of the slice and the end of the window, for each window.
    """
    lengths = ends - starts
    counts = np.where(lengths > 0, lengths // length + 1, 0)
    slack = np.minimum(counts * length - lengths, length - 1)
    phases = rng.integers(0, np.maximum(slack, 0) + 1)
    user = np.repeat(np.arange(len(starts)), counts)
    number = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    window_ends = np.minimum((number + 1) * length - phases[user], lengths[user])
    return starts[user], starts[user] + window_ends
