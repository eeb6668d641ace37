"""Compare finished runs: their figures on the same users, and the churn of their lists.

    jaxrec compare runs/ml-1m-rnn-n10 runs/ml-1m-cnn-n10

Prints the metrics of each run, then the differences between all pairs of runs, with 95% intervals
by paired bootstrap: users are resampled, and both runs are evaluated on the same sample. A
difference whose interval excludes zero is marked with *. One in twenty comparisons of equal runs
gets a * by chance, so compare many runs with more than one seed.

The same tables follow for each slice of the targets that all runs have, such as targets with high
ratings. A run that knows the target's time has that in its label, and a second row in which the
target's time is unknown.

The churn is how much the lists differ that the best model of each run gives to the same histories,
those of the first run's test users. Every list that changes there changes though the history did
not. Two seeds of one training show how large it is without any new data. Runs of different logs
have a churn too: items are compared as text, and those that a run does not know are dropped from
its histories.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxrec.cli.command_line import command
from jaxrec.training.compare_runs import compare


@dataclass(frozen=True)
class CompareFlags:
    """Runs to compare."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """two or more run directories"""


def run(flags: CompareFlags) -> None:
    """Compare runs and print the tables.

    Raises:
        UserError: fewer than two runs are given, or they are not comparable.
    """
    print(compare(*flags.runs))


main = command(
    run, remedy="give run directories that can be read", interrupted="nothing was compared"
)
