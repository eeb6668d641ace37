"""Comparison of finished runs on the same users by paired bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values
from jaxrec.evaluation.slices import LATER, metrics_in
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import (
    KNOWS_TARGET_TIME,
    UNKNOWN_TARGET_TIME,
    about_slice,
    describe,
    plus_minus,
)
from jaxrec.runs.summary import Protocol
from jaxrec.runs.text_table import format_table

METRICS = ("recall@10", "ndcg@10", "mrr")

# Fields of the protocol in which runs must agree for their differences to be comparable.
_PROTOCOL = (
    *("dataset", "split", "train_on_validation", "target_events"),
    *("candidates", "excludes_history"),
)


@dataclass(frozen=True)
class EvaluatedRun:
    """A finished run and its evaluation.

    Attributes:
        name: the run directory.
        protocol: the protocol of its figures.
        vocabulary: the hash of its vocabulary.
        ranks: the ranks of its test targets.
    """

    name: str
    protocol: Protocol
    vocabulary: str
    ranks: Ranks

    def rows(self) -> list[tuple[str, Ranks]]:
        """Return labelled ranks, with a second row if there are ranks without the target's time."""
        if self.ranks.without_target_time is None:
            return [(self.name, self.ranks)]
        unknown = replace(self.ranks, ranks=self.ranks.without_target_time)
        return [
            (f"{self.name}, {KNOWS_TARGET_TIME}", self.ranks),
            (f"{self.name}, {UNKNOWN_TARGET_TIME}", unknown),
        ]


def render_comparison(runs: Sequence[EvaluatedRun]) -> str:
    """Format tables of comparable runs and their differences, over all targets and shared slices.

    A difference is marked with * if its 95% interval, by paired bootstrap over users, excludes
    zero.
    """
    protocol = replace(runs[0].protocol, knows_target_time=False)
    parts = [f"{describe(protocol)}; [...] is a 95% interval, * excludes zero", render(runs)]
    for name in shared_slices(runs):
        parts += [about_slice(name, runs[0].protocol.slices[name]), render(runs, name)]
    return "\n\n".join(parts)


def render(runs: Sequence[EvaluatedRun], name: str | None = None) -> str:
    """Format the figures and pairwise differences of runs, over all targets or over one slice."""
    rows = [row for each in runs for row in each.rows()]
    metrics = METRICS if name is None else metrics_in(name)
    weights = None if name is None else runs[0].ranks.slices[name]
    alone = [[label, *figures(ranks, metrics, weights)] for label, ranks in rows]
    pairs = [
        [f"{ours} - {theirs}", *differences(one, other, metrics, weights)]
        for (ours, one), (theirs, other) in combinations(rows, 2)
    ]
    return "\n\n".join(format_table([["", *metrics], *cells]) for cells in (alone, pairs))


def shared_slices(runs: Sequence[EvaluatedRun]) -> list[str]:
    """Return the slices that all runs share; `LATER` only if a model knows the target's time."""
    names = runs[0].ranks.slices
    if not any(each.protocol.knows_target_time for each in runs):
        names = [name for name in names if name != LATER]
    return [name for name in names if all(_is_shared(name, runs[0], each) for each in runs)]


def _is_shared(name: str, first: EvaluatedRun, other: EvaluatedRun) -> bool:
    return name in other.ranks.slices and np.array_equal(
        first.ranks.slices[name], other.ranks.slices[name]
    )


def read_run(path: Path) -> EvaluatedRun:
    """Read the parts of a run that a comparison needs.

    Raises:
        UserError: the run is not finished, or has another format.
    """
    found = RunDirectory(path)
    found.config()  # raises if the run has another format
    return EvaluatedRun(
        str(path), found.summary().protocol, found.vocabulary().digest, found.ranks()
    )


def check_comparable(first: EvaluatedRun, other: EvaluatedRun) -> None:
    """Raise unless two runs agree in their protocol, items, users and targets.

    Raises:
        UserError: they differ; the message names the difference.
    """
    for name in _PROTOCOL:
        ours, theirs = getattr(first.protocol, name), getattr(other.protocol, name)
        if ours != theirs:
            raise UserError(
                f"{other.name} has {name} {theirs}, {first.name} {ours}; compare runs of the "
                "same protocol"
            )
    if not (
        first.vocabulary == other.vocabulary
        and first.ranks.users.tolist() == other.ranks.users.tolist()
        and first.ranks.targets.tolist() == other.ranks.targets.tolist()
    ):
        raise UserError(
            f"{other.name} was tested on other users or items than {first.name}; compare runs of "
            "the same data, split and seed of the data"
        )


def figures(
    ranks: Ranks,
    metrics: Sequence[str] = METRICS,
    weights: Float64[np.ndarray, " n"] | None = None,
) -> list[str]:
    """Format each metric with half the width of its 95% interval.

    Args:
        weights: the weight of each target; None: equal weights.
    """
    every = target_values(ranks.ranks)
    values = {name: every[name] for name in metrics}
    intervals = bootstrap_intervals(values, ranks.users, weights)
    return [plus_minus(mean, intervals[name]) for name, mean in means(values, weights).items()]


def differences(
    first: Ranks,
    second: Ranks,
    metrics: Sequence[str] = METRICS,
    weights: Float64[np.ndarray, " n"] | None = None,
) -> list[str]:
    """Format the difference of each metric with its 95% interval, marked * if it excludes zero.

    The mean of the differences is the difference of the means, so resampling the users of the
    differences is the paired bootstrap (Efron and Tibshirani, 1993, chapter 16).
    """
    ours, theirs = target_values(first.ranks), target_values(second.ranks)
    values = {name: ours[name] - theirs[name] for name in metrics}
    intervals = bootstrap_intervals(values, first.users, weights)
    cells = []
    for name, mean in means(values, weights).items():
        low, high = intervals[name]
        mark = "*" if low > 0 or high < 0 else " "
        cells.append(f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]{mark}")
    return cells
