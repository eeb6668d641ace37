"""Batches for training: seeded order, fixed shapes, resumable at any dispatch."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from jaxrec.data.seen import seen_before
from jaxrec.data.splits import Split
from jaxrec.data.timelines import Timelines, gather
from jaxrec.data.windowing import (
    WHOLE_BATCH,
    BatchShard,
    Bucket,
    Windows,
    WindowShape,
    cut_into_buckets,
    cut_windows,
)
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
        candidates: the items that compete with the targets, which a step draws
            (`training.transforms.Candidates`); None before.
        item_rows: the rows of the item tables that the ids of a compact batch stand for
            (`training.sparse_rows.compact`), [T]; None: the ids are the rows.
    """

    history: Mapping[str, Any]
    targets: Any
    weights: Any
    seen: Any
    labels: Mapping[str, Any] = {}
    candidates: Any = None
    item_rows: Any = None


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
        shard: BatchShard = WHOLE_BATCH,
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
            shard: what is gathered of each batch; which windows are in it depends on no shard.
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
        self._shard = shard
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
        part = shape.batch_size // self._shard.of
        own = np.arange(self._shard.first * part, self._shard.end * part)
        rows = bucket.windows * steps // bucket.steps + own
        is_window = rows < bucket.windows * (steps + 1) // bucket.steps
        # A row of padding is an empty slice of the first timeline.
        starts, firsts, ends = (
            np.where(is_window, each.take(rows, mode="clip"), 0) for each in windows
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
