"""The walk over the periods of a log: at the start of each, models are trained, and then judged."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
from jaxtyping import Int

from jaxrec.config.experiment import Config
from jaxrec.config.fields import changed_flags
from jaxrec.data.dataset import make_dataset
from jaxrec.data.events import target_mask
from jaxrec.data.log_summary import format_summary, summarize_log
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.data.periods import format_time, last_periods, log_of_period, period_targets
from jaxrec.data.progress import show_progress
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.splits import Period
from jaxrec.errors import UserError
from jaxrec.evaluation.churn import churn_values
from jaxrec.models.model_config import check_encoder
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.backtest.backtest_config import BacktestConfig, flags_of
from jaxrec.training.backtest.backtest_directory import BacktestDirectory
from jaxrec.training.backtest.backtest_report import Backtest, save_report
from jaxrec.training.backtest.figures import NEVER, SCRATCH, VARIANTS, WARM, Judgement
from jaxrec.training.backtest.trained_model import TrainedModel, load_model
from jaxrec.training.fit import fit
from jaxrec.training.warm_start import known_ids

# Users whose last training target is ranked after each epoch, to show the progress.
_PROGRESS_USERS = 500

Runs = Mapping[str, RunDirectory]
"""The run of each variant."""


def load_log(config: Config, table: pl.DataFrame | None = None) -> OrderedLog:
    """Load the log of a configuration with its rare items and short users, and print its summary.

    Which of them are dropped depends on the activities before each period.

    Args:
        table: the log, if it is in memory.
    """
    filters = replace(config.data.filters, min_item_interactions=1, min_user_interactions=1)
    interactions = load_interactions(config.data, seed=config.train.seed, table=table)
    log = order_log(interactions, filters)
    print(format_summary(summarize_log(log, [], config.data), config.data.dataset), flush=True)
    return log


def run_backtest(
    config: Config,
    settings: BacktestConfig,
    directory: BacktestDirectory,
    *,
    table: pl.DataFrame | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Backtest:
    """Train and judge the models of every period, and save the figures after each.

    A finished run is not trained again, and an unfinished one continues.

    Args:
        table: the log, if it is in memory.
        resume: continue the backtest in the directory.
        overwrite: remove an older backtest from the directory, after all other checks have passed.

    Raises:
        UserError: a setting or the directory does not fit, the log cannot be cut into the periods,
            or a model cannot be trained.
    """
    own = changed_flags(config.data, "split", "train_on_validation", "test_users")
    for flag, value in {**own, **changed_flags(config.train, "from_run", "teacher")}.items():
        raise UserError(f"{flag}={value} is set by the backtest; omit it")
    check_encoder(config.model)
    flags = flags_of(settings, config)
    directory.check(flags, resume=resume, overwrite=overwrite)
    log = load_log(config, table)
    periods = last_periods(
        log, config.data, every=settings.every, count=settings.weeks, until=settings.until
    )
    targets = period_targets(log, periods, target_mask(log, config.data))
    directory.begin(flags, overwrite=overwrite)
    backtest = Backtest(config, settings, log.ticks_per_second or 1)
    runs: Runs = {}
    models: dict[str, TrainedModel] = {}
    for period, positions in zip(periods, targets, strict=True):
        before, runs = runs, train_models(log, period, runs, config, directory)
        seconds = {
            name: 0.0 if before.get(name) == run else run.summary().train.seconds
            for name, run in runs.items()
        }
        # Variants share a model in the first period, and later one of them keeps its own.
        loaded = {run: models[name] for name, run in before.items()}
        loaded |= {run: load_model(run, log) for run in {*runs.values()} - loaded.keys()}
        newer = {name: loaded[run] for name, run in runs.items()}
        backtest = backtest.add(judge(log, period, positions, models, newer, seconds))
        save_report(backtest, directory)
        models = newer
    return backtest


def train_models(
    log: OrderedLog, period: Period, before: Runs, config: Config, directory: BacktestDirectory
) -> Runs:
    """Train the models of a period on the activities before it.

    Args:
        before: the runs of the period before; empty: this is the first one, and all variants are
            the same run.
        config: the settings of `jaxrec train`, without those that the backtest sets.
    """
    date = format_time(period.start, log.ticks_per_second or 1)
    data = replace(
        config.data,
        split="temporal",
        train_on_validation=True,
        validation_users=config.data.validation_users or _PROGRESS_USERS,
    )
    scratch, warm = (directory.run(date, name) for name in (SCRATCH, WARM))
    # Only a run that continues another can forget items, and has a teacher.
    fresh = replace(config.train, forget_items=False, teacher_weight=None)
    _train(log, period, replace(config, data=data, train=fresh), scratch)
    if not before:
        return dict.fromkeys(VARIANTS, scratch)
    continued = replace(config.train, from_run=str(before[WARM].path))
    _train(log, period, replace(config, data=data, train=continued), warm)
    return {SCRATCH: scratch, WARM: warm, NEVER: before[NEVER]}


def _train(log: OrderedLog, period: Period, config: Config, run: RunDirectory) -> None:
    """Train a run to its end, unless it is finished."""
    if run.is_begun:
        run.check(config, resume=True, overwrite=False)
    print(f"\n{run.path}{' is finished' if run.is_finished else ''}", flush=True)
    if not run.is_finished:
        dataset = make_dataset(
            log_of_period(log, period, config.data.filters),
            config.data,
            seed=config.train.seed,
            known=known_ids(config, run),
            period=period,
        )
        fit(dataset, config, run)


def judge(
    log: OrderedLog,
    period: Period,
    targets: Int[np.ndarray, " n"],
    before: Mapping[str, TrainedModel],
    models: Mapping[str, TrainedModel],
    seconds: Mapping[str, float],
) -> Judgement:
    """Judge the models of a period on its targets, and against the models of the period before.

    Args:
        targets: the positions of the targets.
        before: the model of each variant in the period before; empty: there is none.
        seconds: the training time of each model.
    """
    owners = np.searchsorted(log.offsets, targets, side="right") - 1
    users = np.unique(owners)
    models_by_id = {id(model): model for model in models.values()}
    progress = partial(show_progress, unit="model")
    ranks = {
        key: model.rank_targets(log, targets)
        for key, model in progress(models_by_id.items(), label="rank the targets")
    }
    list_users, churn = {}, {}
    for name in progress([each for each in before if each != NEVER], label="compare the lists"):
        old, new = (each[name].recommend(log, users, period.start) for each in (before, models))
        has_both = (old[:, 0] > 0) & (new[:, 0] > 0)
        list_users[name] = users[has_both]
        churn[name] = churn_values(old[has_both], new[has_both])
    return Judgement(
        period,
        owners,
        {name: ranks[id(model)] for name, model in models.items()},
        {name: model.knows(log)[targets] for name, model in models.items()},
        list_users,
        churn,
        seconds,
    )
