"""Baselines: what a model must beat to be worth its training."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxrec.data.sequences import Timelines
from jaxrec.data.splits import Split
from jaxrec.features import ITEM


class Popularity:
    """Every history is followed by what is followed most: counts of the training targets."""

    def __init__(self, item_counts: Int[np.ndarray, " R"]):
        self._scores_R = item_counts.astype(np.float32)

    def __call__(
        self, history: Mapping[str, Int32[np.ndarray, "B L"]]
    ) -> Float32[np.ndarray, "B R"]:
        """Score every item."""
        return np.tile(self._scores_R, (len(history[ITEM]), 1))


class Transitions:
    """What followed the last item in training, counted: a Markov chain of first order.

    Items that never followed it come after those that did, by their popularity, which adds less
    than one count.
    """

    def __init__(self, timelines: Timelines, split: Split, item_counts: Int[np.ndarray, " R"]):
        targets = np.flatnonzero(split.is_training_target)
        targets = targets[~np.isin(targets, timelines.offsets[:-1])]
        size = len(item_counts)
        pairs = timelines.items[targets - 1].astype(np.int64) * size + timelines.items[targets]
        pairs, counts = np.unique(pairs, return_counts=True)
        last, self._next = np.divmod(pairs, size)
        self._counts = counts.astype(np.float32)
        # The pairs that begin with item i are rows offsets[i] to offsets[i + 1] - 1.
        self._offsets = np.searchsorted(last, np.arange(size + 1))
        self._popularity_R = (item_counts / (item_counts.sum() + 1)).astype(np.float32)

    def __call__(
        self, history: Mapping[str, Int32[np.ndarray, "B L"]]
    ) -> Float32[np.ndarray, "B R"]:
        """Score every item."""
        last = history[ITEM][:, -1]
        scores_BR = np.tile(self._popularity_R, (len(last), 1))
        lengths = self._offsets[last + 1] - self._offsets[last]
        row = np.repeat(np.arange(len(last)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        pair = self._offsets[last[row]] + within
        scores_BR[row, self._next[pair]] += self._counts[pair]
        return scores_BR
