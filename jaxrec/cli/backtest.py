"""Retrain at several times of a log as if they were today, and judge each model on what followed.

    jaxrec backtest --dataset=log.csv --every=7d --weeks=8

answers how often your log needs retraining. The end of the log is cut into periods. At the start of
each, models are trained on everything before it, and judged on every activity in it:

    scratch   trained from random parameters at the start of each period
    warm      trained from the model of the period before, as by --from-run
    never     trained at the start of the first period, and kept

Prints recall@10, the churn of the lists between successive models, and the minutes of training, and
writes backtest.json and backtest.png after each period. Each model is a run like any other, in
<backtest>/<date>-scratch and <date>-warm.

Other flags are those of `jaxrec train`, with settings that were chosen before: all epochs are
trained, and the last is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxrec.cli.command_line import command, parse
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.fields import Flat
from jaxrec.training.backtest.backtest_config import BacktestConfig
from jaxrec.training.backtest.backtest_directory import (
    FIGURES,
    PLOT,
    BacktestDirectory,
    default_path,
)
from jaxrec.training.backtest.walk import run_backtest
from jaxrec.training.compilation_cache import enable_compilation_cache


@dataclass(frozen=True)
class BacktestFlags:
    """Periods, and the folder of the backtest."""

    backtest: Flat[BacktestConfig] = field(default_factory=BacktestConfig)
    backtest_dir: Path | None = None
    """folder of the backtest; default: runs/backtest-<dataset>-<encoder>"""
    resume: bool = False
    """continue the unfinished backtest in the folder, with the same result as without a break"""
    overwrite: bool = False
    """replace the backtest in the folder"""


def run(flags: BacktestFlags, others: Sequence[str]) -> None:
    """Run a backtest, write its folder and print its tables.

    Raises:
        UserError: an error that the user can fix.
    """
    config = parse(SettingsFlags, others).settings
    directory = BacktestDirectory(flags.backtest_dir or default_path(config))
    backtest = run_backtest(
        config, flags.backtest, directory, resume=flags.resume, overwrite=flags.overwrite
    )
    print(f"\n{backtest.report()}\n\n{directory.path / FIGURES}\n{directory.path / PLOT}")


main = command(
    run,
    remedy="free disk space or change permissions, or give another --backtest-dir; --resume "
    "continues a backtest that has begun",
    interrupted="--resume continues from the last epoch",
    before=enable_compilation_cache,
)
