r"""Trade recall for churn: train on a newer log with and without the model of an older one.

    python experiments/studies/warm_starts/warm_starts.py --dataset=log.parquet --epochs=6

The older log is the first part of the log by time. All models but one are trained on the whole log:
from scratch with two seeds, whose overlap is the baseline; from scratch, taught by the older model;
and from the older model's parameters, with several weights of it as the teacher.

The table has recall@10, its paired difference from the first training from scratch, the overlap
with the lists of the older model on the same histories, and the seconds of training.

The same command continues an interrupted study.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jaxrec.cli.command_line import command, split_numbers
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config
from jaxrec.data.data_config import DataConfig
from jaxrec.data.sources.load import load_interactions
from jaxrec.errors import UserError
from jaxrec.evaluation.churn import OVERLAP, SAME_FIRST
from jaxrec.files import replacing
from jaxrec.runs.comparison import differences
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.report import plus_minus
from jaxrec.runs.text_table import format_table
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.fit import run_experiment
from jaxrec.training.run_lists import churn_of_pairs

METRIC = "recall@10"


@dataclass(frozen=True)
class WarmStartFlags(SettingsFlags):
    """Study; the settings apply to all trainings."""

    share: float = 0.97
    """share of the log's interactions, the oldest, in the older log"""
    weights: str = "0,25,50,75"
    """weights of the older model as the teacher of a warm start, in percent, separated by commas"""
    out: Path = Path("runs/warm_starts")
    """folder of the logs and runs"""


def study(flags: WarmStartFlags) -> None:
    """Train the missing runs, and print the table.

    Raises:
        UserError: a flag is wrong, and nothing was trained.
    """
    if not 0 < flags.share < 1:
        raise UserError(
            f"--share={flags.share:g} is out of range; give more than 0 and less than 1"
        )
    weights = [percent / 100 for percent in split_numbers("--weights", flags.weights)]
    older, newer = write_logs(flags)
    before = RunDirectory(flags.out / "older")
    train(before, older)
    runs = {}
    for label, name, config in trainings(newer, before, weights):
        runs[label] = RunDirectory(flags.out / name)
        train(runs[label], config)
    first = next(iter(runs.values()))
    churn = churn_of_pairs([first, before, *list(runs.values())[1:]])
    cells = [["", METRIC, f"{METRIC} - scratch", OVERLAP, SAME_FIRST, "seconds", "of scratch"]]
    seconds = {label: seconds_of(run) for label, run in runs.items()}
    for label, run in runs.items():
        pair = (first, before) if run is first else (before, run)
        figures = churn[str(pair[0].path), str(pair[1].path)]
        overlaps = [
            plus_minus(figures.means[k], figures.intervals[k]) for k in (OVERLAP, SAME_FIRST)
        ]
        difference = "" if run is first else differences(run.ranks(), first.ranks(), (METRIC,))[0]
        share = f"{seconds[label] / seconds_of(first):.0%}"
        recall = f"{run.summary().test.means[METRIC]:.4f}"
        cells.append([label, recall, difference, *overlaps, f"{seconds[label]:.0f}", share])
    print(f"\n{format_table(cells)}")


def write_logs(flags: WarmStartFlags) -> tuple[Config, Config]:
    """Write the older log and the whole one, and return the settings that read them."""
    config = flags.settings
    log = load_interactions(config.data, seed=config.train.seed).log
    oldest = log.sort("timestamp", maintain_order=True).head(int(flags.share * log.height))
    flags.out.mkdir(parents=True, exist_ok=True)
    configs, usual = [], DataConfig()
    for name, rows in (("older", oldest), ("newer", log)):
        path = flags.out / f"{name}.parquet"
        with replacing(path) as file:
            rows.write_parquet(file)
        # The files have the columns of a log that is read without flags.
        read = {"dataset": str(path), "data_dir": None, "log": usual.log}
        read["synthetic"] = usual.synthetic
        configs.append(replace(config, data=replace(config.data, **read)))
    return configs[0], configs[1]


def trainings(
    config: Config, before: RunDirectory, weights: list[float]
) -> Iterator[tuple[str, str, Config]]:
    """Yield the label, the folder and the settings of each training on the whole log."""

    def changed(**values: str | float) -> Config:
        return replace(config, train=replace(config.train, **values))

    yield "scratch", "scratch", config
    yield "scratch, another seed", "seed", changed(seed=config.train.seed + 1)
    yield "scratch, taught", "taught", changed(teacher=str(before.path))
    for weight in weights:
        warm = changed(from_run=str(before.path), teacher_weight=weight)
        yield f"warm, taught with {weight:g}", f"warm-{weight:g}", warm


def train(directory: RunDirectory, config: Config) -> None:
    """Train a run unless it is finished."""
    directory.check(config, resume=True, overwrite=False, flag="--out")
    if not directory.is_finished:
        print(f"\n{directory.path}")
        run_experiment(config, directory)


def seconds_of(run: RunDirectory) -> float:
    """Return the duration of the epochs of a run."""
    return sum(epoch["seconds"] for epoch in run.metrics(sys.maxsize))


main = command(
    study,
    remedy="free disk space or change permissions, or give another --out",
    interrupted="the same command continues",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
