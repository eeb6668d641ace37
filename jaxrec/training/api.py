"""The Python interface of training: `jaxrec.train`, with the settings of `jaxrec train`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import polars as pl

from jaxrec.config.experiment import Config
from jaxrec.config.sizes import Size, with_size
from jaxrec.config.toml_file import with_table
from jaxrec.data.sources.python_log import Log, with_settings
from jaxrec.models.model_config import check_encoder
from jaxrec.runs.directory import RunDirectory, default_path
from jaxrec.runs.run import Run
from jaxrec.training.fit import run_experiment
from jaxrec.training.keyword_settings import Settings


def train(
    log: Log | str | Path,
    *,
    directory: str | Path | None = None,
    size: Size | None = None,
    config: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    model_shards: int = 1,
    **settings: Unpack[Settings],
) -> Run:
    """Train a recommender on a log, and evaluate it on held-out activities.

    Prints one line of progress per epoch. With `resume`, an interrupted run continues to the same
    parameters bit for bit.

    Args:
        log: the result of `jaxrec.read_log`; or a value of `jaxrec train --dataset`: "synthetic",
            "ml-1m", a file, a prepared folder.
        directory: the run directory; None: runs/<dataset>-<encoder>-n<N>.
        size: "small", "medium" or "large": the widths, the dropout and the epochs together.
        config: a TOML file of settings; the keyword arguments override it.
        resume: continue the unfinished run in the directory.
        overwrite: replace the run in the directory.
        model_shards: number of devices over which the item tables are sharded.
        settings: named as the flags of `jaxrec train --help-all`: `encoder="transformer"`,
            `history_length=50`, and a group as a mapping, `transformer={"blocks": 1}`.
            `from_run` is a run or its directory.

    Returns:
        The finished run.

    Raises:
        UserError: a setting is unknown or out of range, the log cannot be trained on, or the
            directory contains another run.

    Example::

        log = jaxrec.read_log("log.csv", user="customer", item="sku", time="bought_at")
        run = jaxrec.train(log, encoder="bow", epochs=2, directory="runs/shop-bow")
        print(run.report())
    """
    file = None if config is None else Path(config)
    experiment, table = make_experiment(log, size, file, settings, "jaxrec.train")
    check_encoder(experiment.model)
    run_dir = RunDirectory(default_path(experiment, file) if directory is None else Path(directory))
    run_dir.check(experiment, resume=resume, overwrite=overwrite)
    if not (resume and run_dir.is_finished):
        run_experiment(
            experiment, run_dir, table=table, overwrite=overwrite, model_shards=model_shards
        )
    return Run.load(run_dir.path)


def make_experiment(
    log: Log | str | Path,
    size: Size | None,
    file: Path | None,
    settings: Mapping[str, Any],
    caller: str,
) -> tuple[Config, pl.DataFrame | None]:
    """Return the configuration of keyword arguments, and the log if it is in memory.

    Args:
        caller: the public function that was called, for error messages.

    Raises:
        UserError: a setting is unknown or out of range, or the file cannot be read.
    """
    experiment = with_table(with_size(Config(), size, file), _as_toml(settings), Path(caller))
    if isinstance(log, Log):
        return replace(experiment, data=with_settings(log, experiment.data)), log.table
    return replace(experiment, data=replace(experiment.data, dataset=str(log))), None


def _as_toml(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names and the types of a TOML file, without those that are None."""
    return {
        name.replace("_", "-"): _as_toml_value(value)
        for name, value in settings.items()
        if value is not None
    }


def _as_toml_value(value: Any) -> Any:
    if isinstance(value, Run):
        value = value.path
    if isinstance(value, Path):
        return str(value)
    return _as_toml(value) if isinstance(value, Mapping) else value
