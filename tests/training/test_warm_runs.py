"""Runs that start from another: resuming, prepared logs, commands and the Python API."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxrec
from jaxrec.cli import sweep
from jaxrec.config.experiment import Config
from jaxrec.errors import UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import read_training_log
from jaxrec.training import loop
from jaxrec.training.fit import fit
from jaxrec.training.keyword_settings import Settings
from jaxrec.training.warm_start import known_ids
from tests.exports import call, run_train
from tests.prepared_logs import KEEP_ALL, run_prepare
from tests.training.shop_logs import (
    TODAY,
    YESTERDAY,
    dataset_of_shop,
    model_of,
    shop_log,
    starting_from,
)

# It trains several runs.
pytestmark = pytest.mark.slow


class SimulatedCrashError(Exception):
    """A simulated crash of a run."""


def start(directory: RunDirectory, config: Config, seed: int = 1):
    known = known_ids(config, directory)
    dataset = dataset_of_shop(config, shop_log(TODAY, seed=seed), known)
    return fit(dataset, config, directory)


@pytest.mark.parametrize(
    ("crashing", "weight"), [("_train_epoch", 0.0), ("_report_epoch", 0.0), ("_report_epoch", None)]
)
def test_a_resumed_run_is_bit_identical(plain, tmp_path, monkeypatch, crashing, weight):
    """After the first checkpoint, the earlier run is needed only as a teacher."""
    source = RunDirectory(shutil.copytree(plain.path, tmp_path / "yesterday"))
    config = starting_from(source, epochs=9, forget_items=True, teacher_weight=weight)
    assert start(RunDirectory(tmp_path / "whole"), config)
    killed = RunDirectory(tmp_path / "killed")

    def crash(*_):
        raise SimulatedCrashError

    with monkeypatch.context() as patched, pytest.raises(SimulatedCrashError):
        patched.setattr(loop, crashing, crash)
        start(killed, config)
    shutil.move(source.path, tmp_path / "moved")
    if crashing == "_train_epoch" or weight is None:
        with pytest.raises(UserError, match=r"--from-run=.*yesterday is not a finished run"):
            start(killed, config)
        shutil.move(tmp_path / "moved", source.path)
    assert start(killed, config)
    whole, resumed = model_of(RunDirectory(tmp_path / "whole")), model_of(killed)
    np.testing.assert_array_equal(whole.item_table, resumed.item_table)
    np.testing.assert_array_equal(whole.item_bias, resumed.item_bias)
    assert killed.vocabulary().equals(RunDirectory(tmp_path / "whole").vocabulary())


def test_a_run_on_a_changed_log_is_not_resumed(plain, tmp_path):
    """The items are the same, but their counts are not."""
    config, directory = starting_from(plain), RunDirectory(tmp_path / "today")
    assert start(directory, config)
    with pytest.raises(UserError, match="the data has changed; start again with --overwrite"):
        start(directory, config, seed=2)


@pytest.fixture(scope="module")
def days(tmp_path_factory) -> Path:
    """Return a folder with a run on Monday's log, and one from it on Tuesday's, which is prepared.

    Tests must not change it.
    """
    folder = tmp_path_factory.mktemp("days")
    for name, items in {"monday": YESTERDAY, "tuesday": TODAY}.items():
        shop_log(items).log.select("user", "item", "timestamp").write_csv(folder / f"{name}.csv")
    done = run_prepare("--dataset=tuesday.csv", "--out=tuesday", *KEEP_ALL, cwd=folder)
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first: Settings = {**SMALL, "min_item_interactions": 1}
        monday = jaxrec.train(jaxrec.read_log("monday.csv"), directory="runs/monday", **first)
        second: Settings = {**SMALL, "from_run": monday}
        jaxrec.train("tuesday", directory="runs/tuesday", **second)
    return folder


SMALL: Settings = {
    "encoder": "bow",
    "embedding_dim": 6,
    "hidden_units": 8,
    "history_length": 4,
    "epochs": 3,
}


def test_a_run_from_python_starts_from_a_run(days):
    monday, tuesday = (RunDirectory(days / "runs" / name) for name in ("monday", "tuesday"))
    assert tuesday.config().train.from_run == "runs/monday"
    known = monday.vocabulary().values
    assert tuesday.vocabulary().values[: len(known)].equals(known)
    assert tuesday.vocabulary().size == 38
    assert tuesday.summary().train.epochs == 1


def test_the_log_of_a_run_that_started_from_another_is_read_again(days, monkeypatch):
    """As federated rounds do; the earlier run is not needed."""
    monkeypatch.chdir(days)
    tuesday = RunDirectory(days / "runs/tuesday")
    dataset = read_training_log(tuesday, tuesday.config().data, seed=0)
    assert dataset.vocabulary.equals(tuesday.vocabulary())


def test_the_command_starts_from_a_run_and_overwrites_with_its_ids(days, tmp_path):
    """The run that is replaced has forgotten items; the next one has them again."""
    flags = ["--dataset=tuesday", "--encoder=bow", "--embedding-dim=6", "--hidden-units=8"]
    flags += ["--history-length=4", "--epochs=3", f"--run-dir={tmp_path / 'run'}"]
    for forgets, line, size in (
        (["--forget-items"], "4 of its 30 have left the log and are dropped", 34),
        (["--overwrite"], "4 of its 30 have left the log and stay", 38),
    ):
        done = run_train(*flags, "--from-run=runs/monday", *forgets, cwd=days)
        assert done.returncode == 0, done.stderr
        assert f"--from-run=runs/monday: 8 items are new, {line}" in done.stdout
        assert "1 of 3 epochs" in done.stdout
        assert RunDirectory(tmp_path / "run").vocabulary().size == size


def test_a_run_does_not_replace_the_one_that_it_starts_from(days):
    flags = ["--dataset=tuesday", "--run-dir=runs/monday", "--from-run=runs/monday", "--overwrite"]
    done = run_train(*flags, cwd=days)
    assert done.returncode == 2 and "is the run directory too" in done.stderr
    assert RunDirectory(days / "runs/monday").is_finished


def test_a_sweep_tells_that_a_run_does_not_fit_before_it_trains(days, tmp_path):
    flags = ["--dataset=tuesday", "--encoders=bow,cnn", "--from-run=runs/monday"]
    small = ["--embedding-dim=6", "--hidden-units=8", "--history-lengths=4"]
    done = call(sweep.main, *flags, *small, f"--sweep-dir={tmp_path / 'sweep'}", cwd=days)
    assert done.returncode == 2 and "--encoder: bow, not cnn" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_a_run_of_the_previous_release_lacks_a_setting_that_was_added(plain, tmp_path):
    lines = (plain.path / "config.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("forget-items")]
    assert len(kept) == len(lines) - 1
    (tmp_path / "config.toml").write_text("\n".join(kept))
    assert RunDirectory(tmp_path).config() == plain.config()
