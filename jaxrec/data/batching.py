"""Batches for training: seeded order, fixed shapes, resumable at any dispatch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, Int32

from jaxrec.data.sequences import Timelines, gather
from jaxrec.data.splits import Split
from jaxrec.features import PAD


@dataclass(frozen=True)
class Batches:
    """The K batches of one dispatch.

    Attributes:
        history: ids of each feature, {name: [K, B, L]}; most recent last, PAD on the left.
        targets: the item that follows each position of the history, [K, B, L], or the one that
            follows the whole of it, [K, B]; PAD where there is no target.
    """

    history: dict[str, Int32[np.ndarray, "K B L"]]
    targets: Int32[np.ndarray, "K B *L"]


class TrainingBatches:
    """Every training target at least once an epoch, in windows of up to N of one user's targets.

    The batches of a dispatch are a pure function of the seed and the dispatch's number: nothing
    needs to be saved to resume. In each epoch every user's timeline is cut at a new random phase
    (or, with a loss at the last position only, at every target) and the windows are shuffled over
    all users. The last dispatch of an epoch is filled up with the epoch's first windows.
    """

    def __init__(
        self,
        timelines: Timelines,
        split: Split,
        *,
        history_length: int,
        positions: Literal["all", "last"],
        batch_size: int,
        max_steps_per_dispatch: int,
        seed: int,
    ):
        self._timelines = timelines
        self._targets = np.where(split.is_training_target, timelines.items, np.int32(PAD))
        self._training_ends = split.training_ends
        self._length = history_length
        self._positions = positions
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._starts = self._ends = np.empty(0, np.int64)

        self.targets_per_epoch = int(split.is_training_target.sum())
        steps = -(-self._count_windows() // batch_size)
        self.dispatches_per_epoch = -(-steps // max_steps_per_dispatch)
        self.steps_per_dispatch = -(-steps // self.dispatches_per_epoch)
        self.steps_per_epoch = self.dispatches_per_epoch * self.steps_per_dispatch

    def dispatch(self, number: int) -> Batches:
        """Gather the batches of dispatch 0, 1, 2, ... of the whole training."""
        epoch, within = divmod(number, self.dispatches_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        shape = (self.steps_per_dispatch, self._batch_size)
        rows = np.arange(within * shape[0] * shape[1], (within + 1) * shape[0] * shape[1])
        starts = self._starts.take(rows, mode="wrap")
        ends = self._ends.take(rows, mode="wrap")
        history = self._timelines.windows(starts, ends - 1, self._length)
        if self._positions == "all":
            targets = gather(self._targets, starts, ends, self._length).reshape(*shape, -1)
        else:
            targets = self._targets[ends - 1].reshape(shape)
        return Batches({name: ids.reshape(*shape, -1) for name, ids in history.items()}, targets)

    def _count_windows(self) -> int:
        if self._positions == "last":
            return self.targets_per_epoch
        lengths = self._training_ends - self._timelines.offsets[:-1]
        return int((lengths // self._length + 1)[lengths > 0].sum())

    def _shuffle(self, epoch: int) -> None:
        rng = np.random.default_rng([self._seed, epoch])
        if self._positions == "last":
            ends = np.flatnonzero(self._targets) + 1
            starts = self._timelines.offsets[self._timelines.users_of(ends - 1)]
        else:
            starts, ends = cut_windows(
                self._timelines.offsets[:-1], self._training_ends, self._length, rng
            )
        order = rng.permutation(len(ends))
        self._starts, self._ends, self._epoch = starts[order], ends[order], epoch


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
