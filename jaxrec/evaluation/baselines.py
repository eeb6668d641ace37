"""Baselines: simple scorers that a trained model should outperform."""

import numpy as np
from jaxtyping import Float32, Int

from jaxrec.data.dataset import Dataset
from jaxrec.data.splits import Split, SplitName
from jaxrec.data.timelines import Timelines
from jaxrec.evaluation.ranking import Histories, Scorer
from jaxrec.evaluation.scores import Factors
from jaxrec.schema import ITEM

RECENT_DAYS = 7

_SECONDS_PER_DAY = 86_400


def make_baselines(dataset: Dataset, split: SplitName) -> tuple[dict[str, Scorer], str]:
    """Build all baselines of a data set.

    Returns:
        The baselines by name, and the reason why one of them is missing, or an empty string.
    """
    counts, timelines = dataset.vocabulary.counts, dataset.timelines
    baselines: dict[str, Scorer] = {
        "transitions": Transitions(timelines, dataset.split, counts),
        "popularity": Popularity(counts),
    }
    if split != "temporal":
        return baselines, ""
    name, times = f"popular in {RECENT_DAYS} days", timelines.timestamps
    if timelines.ticks_per_second is None:
        return baselines, (
            f"no baseline {name!r}: times from {times.min():.15g} to {times.max():.15g} are "
            "not seconds, milli-, micro- or nanoseconds since 1970; set their unit with "
            "--log.time-unit"
        )
    window = RECENT_DAYS * _SECONDS_PER_DAY * timelines.ticks_per_second
    return baselines | {name: recent_popularity(timelines, dataset.split, counts, window)}, ""


class Popularity:
    """Scores items by popularity, their counts among the training targets, for every history."""

    def __init__(self, item_counts: Int[np.ndarray, " R"]):
        self._scores_R = item_counts.astype(np.float32)

    def __call__(self, history: Histories) -> Factors:
        """Return the scores of all items after each history."""
        return same_for_all(self._scores_R, len(history[ITEM]))


def recent_popularity(
    timelines: Timelines, split: Split, item_counts: Int[np.ndarray, " R"], window: int
) -> Popularity:
    """Return popularity among targets of the last `window` units of time; ties by `item_counts`."""
    times = timelines.timestamps[split.is_training_target]
    recent = timelines.items[split.is_training_target][times > times.max() - window]
    recent_counts = np.bincount(recent, minlength=len(item_counts))
    # The score of an item is the rank of its pair of counts in lexicographic order.
    pairs = np.stack([recent_counts, item_counts], axis=1)
    _, scores_R = np.unique(pairs, axis=0, return_inverse=True)
    return Popularity(scores_R)


class Transitions:
    """First-order Markov chain: scores items by how often they followed the last one in training.

    Items that never followed it rank below those that did, by their popularity: it adds less than
    one count.
    """

    def __init__(self, timelines: Timelines, split: Split, item_counts: Int[np.ndarray, " R"]):
        targets = np.flatnonzero(split.is_training_target)
        targets = targets[~np.isin(targets, timelines.offsets[:-1])]
        size = len(item_counts)
        pairs = timelines.items[targets - 1].astype(np.int64) * size + timelines.items[targets]
        pairs, counts = np.unique(pairs, return_counts=True)
        last, self._next = np.divmod(pairs, size)
        self._counts = counts.astype(np.float32)
        # The pairs whose first item is i are rows offsets[i] to offsets[i + 1] - 1.
        self._offsets = np.searchsorted(last, np.arange(size + 1))
        self._popularity_R = (item_counts / (item_counts.sum() + 1)).astype(np.float32)

    def __call__(self, history: Histories) -> Factors:
        """Return the scores of all items after each history."""
        last = history[ITEM][:, -1]
        lengths = self._offsets[last + 1] - self._offsets[last]
        row = np.repeat(np.arange(len(last)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        pair = self._offsets[last[row]] + within
        # Padded with ignored entries to a power of two, because each length is compiled.
        padding = (1 << len(pair).bit_length()) - len(pair)
        added = (
            np.pad(row, (0, padding)),
            np.pad(self._next[pair], (0, padding), constant_values=len(self._popularity_R)),
            np.pad(self._counts[pair], (0, padding)),
        )
        return same_for_all(self._popularity_R, len(last))._replace(added=added)


def same_for_all(scores_R: Float32[np.ndarray, " R"], rows: int) -> Factors:
    """Return the factors of the same scores for each of `rows` histories."""
    empty_BD, empty_RD = (np.zeros((size, 0), np.float32) for size in (rows, len(scores_R)))
    return Factors(empty_BD, empty_RD, scores_R)
