"""Compare finished runs on the same users by paired bootstrap."""

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
from jaxrec.runs.report import NOW_UNKNOWN, TOLD_TIME, about_slice, describe, plus_minus
from jaxrec.runs.summary import Protocol
from jaxrec.runs.text_table import lay_out

METRICS = ("recall@10", "ndcg@10", "mrr")

# What must be the same for a difference to mean anything.
_PROTOCOL = ("dataset", "split", "final_fit", "target_events", "candidates", "seen_items")


@dataclass(frozen=True)
class Judged:
    """A finished run and how it was judged.

    Attributes:
        name: its directory.
        protocol: how its figures were taken.
        vocabulary: the hash of its items.
        ranks: where its test targets ended.
    """

    name: str
    protocol: Protocol
    vocabulary: str
    ranks: Ranks

    def rows(self) -> list[tuple[str, Ranks]]:
        """Give the ranks, and those with now unknown, each with what it is called."""
        if self.ranks.now_unknown is None:
            return [(self.name, self.ranks)]
        unknown = replace(self.ranks, ranks=self.ranks.now_unknown)
        return [(f"{self.name}, {TOLD_TIME}", self.ranks), (f"{self.name}, {NOW_UNKNOWN}", unknown)]


def compare(*run_dirs: str | Path) -> str:
    """Return a table of runs and of their differences, over all targets and over shared slices.

    A difference whose 95% interval, by paired bootstrap over the users, leaves zero out is marked
    with *.

    Args:
        run_dirs: two or more finished runs on the same users.

    Raises:
        UserError: there are fewer than two, one cannot be read, or they cannot be compared.

    Example:
        print(jaxrec.compare("runs/shop", "runs/shop-bow"))
    """
    if len(run_dirs) < 2:
        raise UserError("one run has nothing to be compared with; name two or more")
    runs = [read_run(Path(path)) for path in run_dirs]
    for other in runs[1:]:
        check_comparable(runs[0], other)
    told = replace(runs[0].protocol, told_time=False)
    parts = [f"{describe(told)}; [...] is 95%, * leaves zero out", render(runs)]
    for name in shared_slices(runs):
        parts += [about_slice(name, runs[0].protocol.slices[name]), render(runs, name)]
    return "\n\n".join(parts)


def render(runs: Sequence[Judged], name: str | None = None) -> str:
    """Lay the figures and the differences of runs out, of all targets or of a slice."""
    rows = [row for each in runs for row in each.rows()]
    metrics = METRICS if name is None else metrics_in(name)
    weights = None if name is None else runs[0].ranks.slices[name]
    alone = [[label, *figures(ranks, metrics, weights)] for label, ranks in rows]
    pairs = [
        [f"{ours} - {theirs}", *differences(one, other, metrics, weights)]
        for (ours, one), (theirs, other) in combinations(rows, 2)
    ]
    return "\n\n".join(lay_out([["", *metrics], *cells]) for cells in (alone, pairs))


def shared_slices(runs: Sequence[Judged]) -> list[str]:
    """Name the slices that are the same in all runs; those of times if one is told the time."""
    names = runs[0].ranks.slices
    if not any(each.protocol.told_time for each in runs):
        names = [name for name in names if name != LATER]
    return [name for name in names if all(_is_shared(name, runs[0], each) for each in runs)]


def _is_shared(name: str, first: Judged, other: Judged) -> bool:
    return name in other.ranks.slices and np.array_equal(
        first.ranks.slices[name], other.ranks.slices[name]
    )


def read_run(path: Path) -> Judged:
    """Read what a comparison needs of a run.

    Raises:
        UserError: it is no finished run, or of another format.
    """
    found = RunDirectory(path)
    found.config()  # says of which format
    return Judged(str(path), found.summary().protocol, found.vocabulary().digest, found.ranks())


def check_comparable(first: Judged, other: Judged) -> None:
    """Refuse runs that were judged differently or on others.

    Raises:
        UserError: they were; it says in what.
    """
    for name in _PROTOCOL:
        ours, theirs = getattr(first.protocol, name), getattr(other.protocol, name)
        if ours != theirs:
            raise UserError(
                f"{other.name} has {name} {theirs}, {first.name} {ours}; compare runs of one "
                "protocol"
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
    """Give each metric with half the width of its interval.

    Args:
        weights: what each target counts; None: all the same.
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
    """Give the difference of each metric with its interval, marked if zero is outside.

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
