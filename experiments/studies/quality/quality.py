r"""Compare settings with the defaults on the validation targets, over several seeds.

    python experiments/studies/quality/quality.py --change=--dropout=0.3 \
        --change="--negatives=2048 --epochs=10" --dataset=ml-1m --epochs=5

Trains with the common flags, once for each seed, and again with each change. The table has the
means over the seeds, and the difference of each change from the first row, paired by seed, with its
standard error. Test metrics are not shown, so that they select nothing.

The same command continues an interrupted study.
"""

import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxrec.cli.command_line import command, parse, split_numbers
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.text_table import format_table
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.fit import run_experiment

METRICS = ("recall@10", "ndcg@10")


@dataclass(frozen=True)
class QualityFlags(SettingsFlags):
    """Comparison; the settings apply to all trainings."""

    change: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """flags of a training in addition to the common ones; may be repeated, for more trainings"""
    seeds: str = "0,1,2"
    """seeds, separated by commas"""
    out: Path = Path("runs/quality")
    """folder of the runs"""


def compare(flags: QualityFlags) -> None:
    """Train the missing runs, and print the table.

    Raises:
        UserError: a flag is wrong, and nothing was trained.
    """
    if not flags.change:
        raise UserError("nothing to compare; give --change=FLAGS")
    seeds = split_numbers("--seeds", flags.seeds)
    given = SettingsFlags(flags.data, flags.model, flags.train)
    runs = []
    for row, change in enumerate(("", *flags.change)):
        for seed in seeds:
            words = [*shlex.split(change), f"--seed={seed}"]
            config = parse(SettingsFlags, words, default=given).settings
            directory = RunDirectory(flags.out / f"{row}-seed{seed}")
            directory.check(config, resume=True, overwrite=False, flag="--out")
            runs.append((directory, config))
    values = np.array([validate(*run) for run in runs]).reshape(-1, len(seeds), len(METRICS))
    cells = [["", *(f"{each}{suffix}" for each in METRICS for suffix in ("", " - first row"))]]
    for change, of_seeds in zip(("", *flags.change), values, strict=True):
        cells.append([change or "common flags"])
        for current, base in zip(of_seeds.T.tolist(), values[0].T.tolist(), strict=True):
            gain = difference(current, base) if change else ""
            cells[-1] += [f"{statistics.mean(current):.4f}", gain]
    print(f"\n{format_table(cells)}")


def validate(directory: RunDirectory, config: Config) -> list[float]:
    """Train a run unless it is finished, and return its metrics of the validation targets."""
    if not directory.is_finished:
        print(f"\n{directory.path}")
        run_experiment(config, directory)
    means = directory.summary().validation.means
    return [means[metric] for metric in METRICS]


def difference(values: Sequence[float], base: Sequence[float]) -> str:
    """Format the mean of paired differences, with its standard error if there are several."""
    each = [value - other for value, other in zip(values, base, strict=True)]
    error = f" ±{statistics.stdev(each) / len(each) ** 0.5:.4f}" if len(each) > 1 else ""
    return f"{statistics.mean(each):+.4f}{error}"


main = command(
    compare,
    remedy="free disk space or change permissions, or give another --out",
    interrupted="the same command continues",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
