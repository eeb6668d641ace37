"""The Python interface of backtests: `jaxrec.backtest`, with the settings of `jaxrec backtest`."""

from pathlib import Path
from typing import Unpack

from jaxrec.config.sizes import Size
from jaxrec.data.sources.python_log import Log
from jaxrec.training.api import make_experiment
from jaxrec.training.backtest.backtest_config import BacktestConfig
from jaxrec.training.backtest.backtest_directory import BacktestDirectory, default_path
from jaxrec.training.backtest.backtest_report import Backtest
from jaxrec.training.backtest.walk import run_backtest
from jaxrec.training.keyword_settings import Settings


def backtest(
    log: Log | str | Path,
    *,
    every: str = "7d",
    weeks: int = 8,
    until: str | None = None,
    directory: str | Path | None = None,
    size: Size | None = None,
    config: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Unpack[Settings],
) -> Backtest:
    """Train at several dates of a log, and judge each model on what followed.

    Args:
        log: as in `jaxrec.train`, with true times.
        every: the length of a period, and the time from one training to the next.
        weeks: the number of periods, whatever their length.
        until: the end of the last period, as "2024-05-01"; None: the last activity.
        directory: of the backtest; None: runs/backtest-<dataset>-<encoder>.
        size: as in `jaxrec.train`.
        config: as in `jaxrec.train`.
        resume: continue the unfinished backtest in the directory.
        overwrite: replace the backtest in the directory.
        settings: as in `jaxrec.train`.

    Returns:
        The figures, which are also in backtest.json and backtest.png in the directory.

    Raises:
        UserError: a setting is unknown or out of range, the log cannot be cut into the periods, or
            the directory contains something else.

    Example::

        world = {"users": 60, "items": 30, "drift": 1.0}
        result = jaxrec.backtest(
            "synthetic", every="60d", weeks=2, until="2023-12-01", synthetic=world,
            encoder="bow", embedding_dim=8, hidden_units=8, epochs=1,
        )
        print(result.report())
    """
    file = None if config is None else Path(config)
    experiment, table = make_experiment(log, size, file, settings, "jaxrec.backtest")
    folder = BacktestDirectory(default_path(experiment) if directory is None else Path(directory))
    periods = BacktestConfig(every, weeks, until)
    return run_backtest(
        experiment, periods, folder, table=table, resume=resume, overwrite=overwrite
    )
