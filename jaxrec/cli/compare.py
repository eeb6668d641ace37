"""Compare finished runs on the same users: which differences are real?

    jaxrec compare runs/ml-1m-rnn-n10 runs/ml-1m-cnn-n10

Prints each run's figures, then the difference of every two with its 95% interval, by paired
bootstrap: users are drawn again and again, and both runs are judged on the same draw. A difference
whose interval leaves zero out is marked with *. One in twenty comparisons of equal runs gets a *
by chance, so many runs deserve more than one seed.

The same is printed of the slices of the targets that all runs have: of those rated high, say. A run
that was told the time of the target is labelled so, and stands there once more with now unknown.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxrec.cli.command_line import command
from jaxrec.runs.comparison import compare


@dataclass(frozen=True)
class CompareFlags:
    """What is compared."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """two or more run directories"""


def run(flags: CompareFlags) -> None:
    """Compare runs and print the tables.

    Raises:
        UserError: fewer than two runs are given, or they are not comparable.
    """
    print(compare(*flags.runs))


main = command(run, remedy="name run directories that can be read", interrupted="nothing was kept")
