r"""Measure whether on-device adaptation helps: evaluate the model with and without adapters.

    python experiments/studies/personalization/personalize.py --run-dir=runs/synthetic-rnn-n10
    python experiments/studies/personalization/personalize.py \
        --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv

For each user an adapter is trained on the last activities before the target, as on a device
(jaxrec/models/adapter.py), and the target is ranked with it and without it, among the same items.
Differences are paired by user (bootstrap). The users are those of the run's own log, or of another
log, whose items are encoded by the run's vocabulary.

Choose settings with --judge=validation, and use the test targets at the end.
"""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from flax import nnx
from jaxtyping import Bool, Int

from jaxrec.cli.command_line import command
from jaxrec.config.experiment import Config
from jaxrec.config.fields import Flat, changed_flags
from jaxrec.data.dataset import Dataset
from jaxrec.data.gaps import DAY, whole_seconds
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.log_summary import format_summary
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError
from jaxrec.evaluation.adapted import adapted_scorer
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.models.adapter import AdaptConfig
from jaxrec.models.folding import fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.comparison import METRICS, differences, figures
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import population_config, read_population, read_training_log
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.text_table import format_table
from jaxrec.training.checkpoint import read_model
from jaxrec.training.compilation_cache import enable_compilation_cache

# Users with this many activities have enough to learn from; the figures are split there.
MANY_ACTIVITIES = 50


@dataclass(frozen=True, kw_only=True)
class PersonalizeFlags:
    """Run, users and targets."""

    run_dir: Path
    """directory of a finished run, which is not changed"""
    dataset: str | None = None
    """log of the users, as for `jaxrec train`; default: the log of the run"""
    log: LogConfig = field(default_factory=LogConfig)
    judge: Literal["validation", "test", "day"] = "test"
    """target of each user; test: the last; validation: the last but one, to choose settings; day:
    with --dataset, the first of the user's last day (UTC), with adapters of all days before it"""
    adapt: Flat[AdaptConfig] = field(default_factory=AdaptConfig)


def run(flags: PersonalizeFlags) -> None:
    """Rank the targets with and without adapters, and print the figures.

    Raises:
        UserError: an error that the user can fix.
    """
    source = RunDirectory(flags.run_dir)
    config = configure(flags, source)
    read = read_training_log if flags.dataset is None else read_population
    population = read(source, config.data, seed=config.train.seed)
    print(format_summary(population.log_summary, config.data.dataset), flush=True)
    model = read_model(source.checkpoints, source.schema(), config.model)
    model = fold_features(model, ids_by_name(source.item_features()))
    split = population.split
    positions = {"validation": split.validation, "test": split.test}.get(flags.judge)
    if positions is None:
        positions = first_of_last_day(population.timelines)
    ranks_by_scorer = evaluate(model, population, positions, config, flags.adapt)
    starts = population.timelines.offsets[population.timelines.users_of(positions)]
    print(render(ranks_by_scorer, positions - starts, flags))


def configure(flags: PersonalizeFlags, source: RunDirectory) -> Config:
    """Return the configuration of the run, with the settings for reading the users' log.

    Raises:
        UserError: the run is not finished or has features that adapters do not support, or the
            flags contradict each other.
    """
    source.require_finished()
    config, schema = source.config(), source.schema()
    if any(each.of != "item" for each in schema.features):
        raise UserError(
            f"--run-dir={source.path} has features of activities or users, which adapters do not "
            "support; give a run without features"
        )
    flags.adapt.require_more_than(config.data.history_length)
    if flags.judge == "day" and flags.dataset is None:
        raise UserError("--judge=day has targets that the run was trained on; give --dataset too")
    if flags.dataset is None:
        for flag, value in changed_flags(flags.log).items():
            raise UserError(f"{flag}={value} needs --dataset")
        return config
    return replace(config, data=population_config(config.data, flags.dataset, flags.log))


def first_of_last_day(timelines: Timelines) -> Int[np.ndarray, " n"]:
    """Return the position of the first activity of each user's last day, if any came before it.

    Raises:
        UserError: the unit of the log's times is not known.
    """
    if timelines.ticks_per_second is None:
        raise UserError("--judge=day needs times of a known unit; give --log.time-unit")
    days = whole_seconds(timelines.timestamps, timelines.ticks_per_second) // DAY
    starts, ends = timelines.offsets[:-1], timelines.offsets[1:]
    is_last_day = days == np.repeat(days[ends - 1], timelines.lengths)
    before = np.add.reduceat(~is_last_day, starts)
    return (starts + before)[before > 0]


def evaluate(
    model: RecommenderModel,
    population: Dataset,
    positions: Int[np.ndarray, " n"],
    config: Config,
    adapt: AdaptConfig,
) -> dict[str, Ranks]:
    """Rank targets by the shipped model, by adapters with the guard, and by adapters without it."""
    history_length = config.data.history_length
    longer = replace(config.data, history_length=adapt.activities)
    always = replace(adapt, held_out=0)
    scorers = {
        "shipped": (model_scorer(*nnx.split(model)), config.data),
        "adapted": (adapted_scorer(model, adapt, history_length=history_length), longer),
        "adapted, without the guard": (
            adapted_scorer(model, always, history_length=history_length),
            longer,
        ),
    }
    ranks_by_scorer = {}
    for name, (scorer, data) in scorers.items():
        found = rank(scorer, population, positions, data, coverage=False)
        ranks_by_scorer[name] = Ranks(
            found.users, population.timelines.items[positions], found.ranks
        )
    return ranks_by_scorer


def render(
    ranks_by_scorer: dict[str, Ranks], lengths: Int[np.ndarray, " n"], flags: PersonalizeFlags
) -> str:
    """Format figures and differences of all users, and of those with many and few activities."""
    groups = {
        "all users": np.ones(len(lengths), bool),
        f"users with {MANY_ACTIVITIES} activities or more": lengths >= MANY_ACTIVITIES,
        f"users with fewer than {MANY_ACTIVITIES}": lengths < MANY_ACTIVITIES,
    }
    learned = f"trained on up to {flags.adapt.activities} activities before each target"
    lines = [f"{flags.judge}, {learned}; [...] is a 95% interval, paired, * excludes zero"]
    for group, chosen in groups.items():
        if chosen.any():
            lines += ["", f"{group}: {chosen.sum():,}", "", _table(ranks_by_scorer, chosen)]
    return "\n".join(lines)


def _table(ranks_by_scorer: dict[str, Ranks], chosen: Bool[np.ndarray, " n"]) -> str:
    of_group = {
        name: Ranks(each.users[chosen], each.targets[chosen], each.ranks[chosen])
        for name, each in ranks_by_scorer.items()
    }
    shipped, *adapted = of_group
    cells = [["", *METRICS], *([name, *figures(each)] for name, each in of_group.items())]
    gains = [["minus shipped", *METRICS, "helped", "unchanged", "hurt"]]
    for name in adapted:
        moved = of_group[shipped].ranks - of_group[name].ranks
        shares = [
            f"{share:.1%}"
            for share in (np.mean(moved > 0), np.mean(moved == 0), np.mean(moved < 0))
        ]
        gains.append([name, *differences(of_group[name], of_group[shipped]), *shares])
    return f"{format_table(cells)}\n\n{format_table(gains)}"


main = command(
    run,
    remedy="give a run directory and a log that can be read",
    interrupted="nothing was written",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
