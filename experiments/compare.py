"""Compare finished runs on the same users: which differences are real?

    python experiments/compare.py runs/ml-1m-rnn-n10 runs/ml-1m-cnn-n10

Prints each run's figures, then the difference of every two with its 95% interval, by paired
bootstrap: users are drawn again and again, and both runs are judged on the same draw. A difference
whose interval leaves zero out is marked with *. One in twenty comparisons of equal runs gets a *
by chance, so many runs deserve more than one seed.
"""

import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import tyro

from jaxrec.command_line import command
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import describe, plus_minus
from jaxrec.runs.summary import Protocol
from jaxrec.text_table import lay_out

METRICS = ("recall@10", "ndcg@10", "mrr")

# What must be the same for a difference to mean anything.
_PROTOCOL = ("dataset", "split", "final_fit", "target_events", "candidates", "seen_items")


@dataclass(frozen=True)
class CompareFlags:
    """What is compared."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """two or more run directories"""


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


def run(flags: CompareFlags) -> None:
    """Read, check that the users are the same, compare, print.

    Raises:
        UserError: there are fewer than two runs, or they cannot be compared.
    """
    if len(flags.runs) < 2:
        raise UserError("one run has nothing to be compared with; name two or more")
    runs = [read_run(path) for path in flags.runs]
    for other in runs[1:]:
        check_comparable(runs[0], other)
    print(f"{describe(runs[0].protocol)}; [...] is 95%, * leaves zero out\n")
    print(lay_out([["", *METRICS], *([each.name, *figures(each.ranks)] for each in runs)]))
    pairs = combinations(runs, 2)
    rows = [[f"{a.name} - {b.name}", *differences(a.ranks, b.ranks)] for a, b in pairs]
    print(f"\n{lay_out([['', *METRICS], *rows])}")


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


def figures(ranks: Ranks) -> list[str]:
    """Give each metric with half the width of its interval."""
    every = target_values(ranks.ranks)
    values = {name: every[name] for name in METRICS}
    intervals = bootstrap_intervals(values, ranks.users)
    return [plus_minus(mean, intervals[name]) for name, mean in means(values).items()]


def differences(first: Ranks, second: Ranks) -> list[str]:
    """Give the difference of each metric with its interval, marked if zero is outside.

    The mean of the differences is the difference of the means, so resampling the users of the
    differences is the paired bootstrap (Efron and Tibshirani, 1993, chapter 16).
    """
    ours, theirs = target_values(first.ranks), target_values(second.ranks)
    values = {name: ours[name] - theirs[name] for name in METRICS}
    intervals = bootstrap_intervals(values, first.users)
    cells = []
    for name, mean in means(values).items():
        low, high = intervals[name]
        mark = "*" if low > 0 or high < 0 else " "
        cells.append(f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]{mark}")
    return cells


main = command(run, remedy="name run directories that can be read", interrupted="nothing was kept")

if __name__ == "__main__":
    sys.exit(main())
