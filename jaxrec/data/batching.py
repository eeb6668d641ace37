"""Training batches: seeded order, fixed shapes, resumable at any dispatch."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from jaxrec.data.excluded_items import items_before
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
    """Windows of users' timelines, as NumPy or JAX arrays.

    The K batches of a dispatch are stacked along an additional axis before B.

    Attributes:
        history: ids of each feature, {name: [B, L]}, most recent last, PAD on the left; features
            of users are [B].
        targets: the item that follows each of the last W positions of the history, [B, W]; PAD
            where there is no target.
        weights: target weights, [B, W]; zero where there is no training target.
        excluded: the items that the user interacted with before the first target of each row, in a
            form of `data.excluded_items`, [B, _]; None where the loss does not exclude them.
        labels: the label id of each target by head name, {name: [B, W]}; 0 where it has none.
        candidates: the items that compete with the targets (`training.transforms.Candidates`);
            None until a step samples them.
        item_rows: the rows of the item tables that the ids of a compact batch index
            (`training.sparse_rows.compact`), [T]; None: the ids are the rows.
    """

    history: Mapping[str, Any]
    targets: Any
    weights: Any
    excluded: Any
    labels: Mapping[str, Any] = {}
    candidates: Any = None
    item_rows: Any = None


class TrainingBatches:
    """Batches that contain every training target once per epoch.

    Each timeline is cut into windows of up to W targets, at a new random phase in each epoch. If
    many timelines fit into a window with its overlap, each of these is a single window and is
    batched with timelines of similar length. So there are a few shapes, but one in each dispatch.

    The batches of a dispatch are a pure function of the seed and the dispatch number: resuming
    needs no saved state. In each epoch the windows of a shape are shuffled over all users, and the
    dispatches are shuffled too. Incomplete steps are filled up with rows of padding.
    """

    def __init__(
        self,
        timelines: Timelines,
        split: Split,
        shape: WindowShape,
        *,
        labels: Mapping[str, Int32[np.ndarray, " n"]] = MappingProxyType({}),
        weights: Float32[np.ndarray, " n"] | None = None,
        catalogue_size: int | None,
        max_steps_per_dispatch: int,
        seed: int,
        shard: BatchShard = WHOLE_BATCH,
    ):
        """Choose the batch shapes and count the steps.

        Args:
            timelines: the log.
            split: its training targets are used.
            shape: of steps with timelines that do not fit into a single window.
            labels: the label id of each activity by head name.
            weights: the target weight of each position; None: all are equal.
            catalogue_size: size of the catalogue, V; None: batches have no `excluded`.
            max_steps_per_dispatch: upper limit of K.
            seed: of phases and order.
            shard: the part of each batch to gather; the windows of a batch do not depend on it.
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
        self._catalogue_size = catalogue_size
        self._seed = seed
        self._shard = shard
        self._buckets = cut_into_buckets(lengths, shape, max_steps_per_dispatch)
        self._plan = lru_cache(maxsize=1)(self._shuffle)

        self.shapes = len(self._buckets)
        self.targets_per_epoch = int(split.is_training_target.sum())
        self.dispatches_per_epoch = sum(each.dispatches for each in self._buckets)
        self.steps_per_epoch = sum(each.steps for each in self._buckets)

    def dispatch(self, number: int) -> Batch:
        """Gather the batches of a dispatch, numbered 0, 1, 2, ... over all epochs."""
        epoch, within = divmod(number, self.dispatches_per_epoch)
        bucket_windows, order = self._plan(epoch)
        which, nth = order[within]
        return self._gather(self._buckets[which], bucket_windows[which], nth)

    def _shuffle(self, epoch: int) -> tuple[list[Windows], list[tuple[int, int]]]:
        """Return the windows of each bucket, and the (bucket, index in it) of each dispatch."""
        rng = np.random.default_rng([self._seed, epoch])
        bucket_windows = []
        for bucket in self._buckets:
            starts = self._timelines.offsets[bucket.users]
            ends = self._training_ends[bucket.users]
            windows = (
                Windows(starts, starts, ends)
                if bucket.is_single_window
                else cut_windows(starts, ends, bucket.shape.length, rng)
            )
            order = rng.permutation(bucket.windows)
            bucket_windows.append(Windows(*(each[order] for each in windows)))
        dispatches = [
            (which, nth)
            for which, bucket in enumerate(self._buckets)
            for nth in range(bucket.dispatches)
        ]
        return bucket_windows, [dispatches[i] for i in rng.permutation(len(dispatches))]

    def _gather(self, bucket: Bucket, windows: Windows, nth: int) -> Batch:
        """Gather a bucket's nth dispatch; its windows are spread evenly over all steps."""
        count, shape = bucket.steps_per_dispatch, bucket.shape
        steps = np.arange(nth * count, (nth + 1) * count)[:, None]
        part = shape.batch_size // self._shard.total
        shard_rows = np.arange(self._shard.first * part, self._shard.end * part)
        rows = bucket.windows * steps // bucket.steps + shard_rows
        is_window = rows < bucket.windows * (steps + 1) // bucket.steps
        # Rows of padding are empty slices of the first timeline.
        starts, firsts, ends = (
            np.where(is_window, each.take(rows, mode="clip"), 0) for each in windows
        )
        history = self._timelines.windows(starts, ends - 1, shape.length + shape.overlap)
        targets = gather(self._targets, firsts, ends, shape.length)
        weights = (targets != PAD).astype(np.float32)
        if self._weights is not None:
            weights *= gather(self._weights, firsts, ends, shape.length)
        excluded = None
        if self._catalogue_size is not None:
            excluded_items = items_before(self._timelines, firsts.reshape(-1))
            # A whole timeline has no activity before its first target.
            max_ids = 0 if bucket.is_single_window else self._longest
            excluded = excluded_items.as_batch(self._catalogue_size, max_ids).reshape(
                *rows.shape, -1
            )
        labels = {
            name: gather(ids, firsts, ends, shape.length) for name, ids in self._labels.items()
        }
        return Batch(history, targets, weights, excluded, labels)
