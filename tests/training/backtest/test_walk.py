"""Whole backtests: what their models are trained on, judged by, and resumed from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from jaxrec.cli.backtest import main
from jaxrec.data.gaps import DAY
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.files import read_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.training import loop

USERS, ITEMS, DRIFT = 200, 40, 1.0
SMALL = [
    *(f"--synthetic.users={USERS}", f"--synthetic.items={ITEMS}", f"--synthetic.drift={DRIFT}"),
    *("--encoder=bow", "--embedding-dim=4", "--hidden-units=4", "--history-length=5"),
    *("--epochs=2", "--every=60d", "--weeks=3", "--until=2023-12-01", "--teacher-weight=0.4"),
]
DATES = ["2023-06-04", "2023-08-03", "2023-10-02"]
RUNS = [
    f"{DATES[0]}-scratch",
    *(f"{date}-{name}" for date in DATES[1:] for name in ("scratch", "warm")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the folder of a finished backtest."""
    folder = tmp_path_factory.mktemp("backtest") / "whole"
    assert main([*SMALL, f"--backtest-dir={folder}"]) == 0
    return folder


def world() -> pl.DataFrame:
    """Return the log, with the day of each activity since 2023-06-04."""
    log = synthetic_world(users=USERS, items=ITEMS, seed=0, drift=DRIFT).log
    return log.with_columns(day=(pl.col("timestamp") - 1_685_836_800) / DAY)


def without_times(value: Any) -> Any:
    """Return the figures of a backtest without its times of training."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "training_seconds"}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def figures_of(folder: Path) -> Any:
    return without_times(read_json(folder / "backtest.json"))


@pytest.mark.slow
def test_every_model_is_an_ordinary_run_that_continues_the_one_before(folder):
    assert sorted(each.name for each in folder.iterdir() if each.is_dir()) == sorted(RUNS)
    settings = {name: RunDirectory(folder / name).config().train for name in RUNS}
    starts = {name: (each.from_run, each.teacher_weight) for name, each in settings.items()}
    assert starts == dict.fromkeys(RUNS, (None, None)) | {
        "2023-08-03-warm": (str(folder / "2023-06-04-scratch"), 0.4),
        "2023-10-02-warm": (str(folder / "2023-08-03-warm"), 0.4),
    }
    assert (folder / "backtest.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_a_model_is_trained_on_what_precedes_its_date_and_on_nothing_else(folder, number):
    log = world().filter(pl.col("day") < 60 * number)
    frequent = log.filter(pl.len().over("item") >= 5)
    trained = frequent.filter(pl.len().over("user") >= 3)
    vocabulary = RunDirectory(folder / f"{DATES[number]}-scratch").vocabulary()
    counts = dict(zip(vocabulary.values.to_list(), vocabulary.counts[1:].tolist(), strict=True))
    assert {item: count for item, count in counts.items() if count} == dict(
        trained.group_by("item").len().iter_rows()
    )
    assert set(counts) == set(frequent["item"])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_all_activities_of_a_period_with_a_history_are_targets(folder, number):
    log = world().sort("user", "timestamp", maintain_order=True)
    has_history = pl.col("user") == pl.col("user").shift()
    period = log.filter(
        pl.col("day").is_between(60 * number, 60 * (number + 1), closed="left") & has_history
    )
    figures = figures_of(folder)["periods"][number]
    assert (figures["targets"], figures["users"]) == (period.height, period["user"].n_unique())
    for name, of in (("scratch", number), ("warm", number), ("never", 0)):
        known = RunDirectory(folder / f"{DATES[of]}-scratch").vocabulary().values
        unknown = period.filter(~pl.col("item").is_in(known.implode())).height
        assert figures["variants"][name]["unknown_targets"] == unknown


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scratch", "warm"])
def test_the_figures_are_those_of_each_run_with_unknown_items_missed(folder, name):
    """Compare with the ranks that the evaluation of each run computed from its own data set."""
    for date, figures in zip(DATES[1:], figures_of(folder)["periods"][1:], strict=True):
        ranks = RunDirectory(folder / f"{date}-{name}").ranks().ranks
        variant = figures["variants"][name]
        hits = round(variant["metrics"]["recall@10"]["mean"] * figures["targets"])
        known = figures["targets"] - variant["unknown_targets"]
        # The runs do not count targets without a known item before them, of which there are few.
        without_history = known - len(ranks)
        assert 0 <= without_history <= 0.05 * known
        assert 0 < (ranks <= 10).sum() <= hits <= (ranks <= 10).sum() + without_history


@pytest.mark.slow
def test_the_variants_are_one_model_in_the_first_period(folder):
    first = figures_of(folder)["periods"][0]["variants"]
    assert first["scratch"] == first["warm"] == first["never"]
    assert first["scratch"]["churn"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 4])
def test_a_killed_backtest_continues_to_the_same_figures(
    folder, tmp_path, monkeypatch, capsys, calls
):
    arguments = [*SMALL, f"--backtest-dir={tmp_path / 'killed'}"]
    original, seen = loop._report_epoch, []

    def interrupt(*words: Any) -> None:
        seen.append(words)
        if len(seen) == calls:
            raise KeyboardInterrupt
        original(*words)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_report_epoch", interrupt)
        assert main(arguments) == 130
    assert "--resume continues from the last epoch" in capsys.readouterr().err
    assert main(arguments) == 2
    assert "contains a backtest; give --resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    resumed = json.dumps(figures_of(tmp_path / "killed")).replace(str(tmp_path / "killed"), "")
    assert resumed == json.dumps(figures_of(folder))
    assert not np.isnan(read_json(tmp_path / "killed" / "backtest.json")["periods"][0]["targets"])


@pytest.mark.slow
def test_a_finished_backtest_is_printed_again_and_not_trained(folder, monkeypatch, capsys):
    monkeypatch.setattr("jaxrec.training.backtest.walk.fit", None)
    before = figures_of(folder)
    assert main([*SMALL, f"--backtest-dir={folder}", "--resume"]) == 0
    assert "after the first date" in capsys.readouterr().out
    assert figures_of(folder) == before


@pytest.mark.slow
def test_other_settings_are_refused(folder, capsys):
    place = f"--backtest-dir={folder}"
    assert main([*SMALL, place, "--resume", "--every=30d", "--epochs=3"]) == 2
    error = capsys.readouterr().err
    assert "is a backtest with other settings (--every: 60d, not 30d; --epochs: 2, not 3)" in error
    assert main([*SMALL, place, "--resume", "--overwrite"]) == 2
    assert "exclude each other" in capsys.readouterr().err
