"""Preparation in buckets: the result equals that in memory, also after interruptions."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from jaxrec.cli import prepare as prepare_command
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import make_dataset
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.data.prepared import read_manifest
from jaxrec.data.sources.load import load_interactions, load_ordered
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.files import read_json
from tests import ROOT
from tests.exports import run_train
from tests.prepared_logs import KEEP_ALL, files_of, prepare_and_read, run_prepare, write_log
from tests.small_data import data_config


def in_memory(folder: Path, **flags) -> OrderedLog:
    config = data_config(dataset=str(folder / "log.csv"), **flags)
    return order_log(load_interactions(config, seed=0), config.filters, config.break_ties)


def activities_by_user(log: OrderedLog) -> dict:
    """Return each raw user's activities, as raw items, times and further columns."""
    rows = log.columns.rows() or [()] * len(log.items)
    found = {}
    for user, start, end in zip(log.users.rows(), log.offsets, log.offsets[1:], strict=False):
        items = log.catalogue["item"].gather(log.items[start:end] - 1).to_list()
        found[user] = list(
            zip(items, log.timestamps[start:end].tolist(), rows[start:end], strict=True)
        )
    return found


def assert_logs_equal(ours: OrderedLog, theirs: OrderedLog) -> None:
    """Compare all but the order of the users and the notes of single buckets."""
    assert activities_by_user(ours) == activities_by_user(theirs)
    assert ours.catalogue.equals(theirs.catalogue)
    for name in ("items", "offsets", "timestamps"):
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype, name
    for name in ("ticks_per_second", "rows", "dropped", "anomalies", "tie_seed"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.columns.schema == theirs.columns.schema


ids = st.one_of(
    st.integers(0, 9).map(str),
    st.sampled_from(["007", "1.0", "2.0", "a", "ä", "b,c"]),
)
times = st.one_of(st.integers(0, 5).map(str), st.sampled_from(["1.5", "3.0"]))
rows = st.lists(
    st.tuples(ids, ids, times, st.sampled_from(["1", "4", "5"]), st.sampled_from(["7", "x", ""])),
    min_size=1,
    max_size=40,
)


@settings(phases=[Phase.generate])
@given(
    rows=rows,
    buckets=st.integers(1, 4),
    max_rows=st.integers(1, 50),
    plain=st.booleans(),
    drops=st.booleans(),
    min_count=st.integers(1, 2),
    tie_seed=st.none() | st.integers(0, 9),
)
def test_preparation_in_buckets_equals_that_in_memory(
    rows, buckets, max_rows, plain, drops, min_count, tie_seed
):
    """Ids, times and other columns have the type that fits all rows, not those of a bucket."""
    if plain:
        rows = [(str(len(a)), str(len(b)), t, r, "1") for a, b, t, r, _ in rows]
    columns = ["user", "item", "timestamp", "stars", "more"]
    filters = {
        "drop_duplicates": drops,
        "min_rating": 2.0 if drops else None,
        "min_item_interactions": min_count,
        "min_user_interactions": min_count,
    }
    filter_flags = [f"--min-item-interactions={min_count}", f"--min-user-interactions={min_count}"]
    filter_flags += ["--drop-duplicates", "--min-rating=2"] if drops else []
    filter_flags += [] if tie_seed is None else [f"--break-ties={tie_seed}"]
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_command, "_MAX_ROWS_AT_ONCE", max_rows)
        folder = Path(name)
        pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "log.csv")
        try:
            expected = in_memory(
                folder,
                activity_features="more",
                log=LogConfig(rating="stars"),
                break_ties=tie_seed,
                **filters,
            )
        except UserError as error:
            done = run_prepare(
                *("--dataset=log.csv", "--out=prepared", f"--buckets={buckets}"),
                *("--log.rating=stars", "--keep-columns=more", *filter_flags),
                cwd=folder,
            )
            assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"error: {error}")
            return
        flags = [f"--buckets={buckets}", "--log.rating=stars", "--keep-columns=more", *filter_flags]
        assert_logs_equal(prepare_and_read(folder, *flags), expected)


def test_an_interrupted_preparation_resumes_to_the_same_files(tmp_path, monkeypatch):
    write_log(tmp_path)
    monkeypatch.setattr(prepare_command, "_MAX_ROWS_AT_ONCE", 13)
    flags = ("--dataset=log.csv", *KEEP_ALL, "--buckets=3")
    run_prepare(*flags, "--out=whole", cwd=tmp_path)
    replace, remaining, stops = Path.replace, 0, 0

    def replace_or_stop(self: Path, target: Path) -> Path:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_stop)
    for writes in count(2):
        remaining = writes
        done = run_prepare(*flags, "--out=stopped", cwd=tmp_path)
        if done.returncode == 0:
            break
        assert (done.returncode, "the same command continues" in done.stderr) == (130, True)
        stops += 1
    assert stops > 5
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")
    assert not (tmp_path / "stopped" / "work").exists()


@pytest.mark.slow
def test_a_killed_preparation_resumes_to_the_same_files(tmp_path):
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "user": rng.integers(0, 3_000, 300_000),
            "item": rng.integers(0, 500, 300_000),
            "timestamp": rng.integers(0, 1_000, 300_000),
        }
    )
    log.write_parquet(tmp_path / "log.parquet")
    command = [sys.executable, str(ROOT / "experiments" / "prepare.py"), "--dataset=log.parquet"]
    command += ["--memory=100MB", "--buckets=16"]
    started = time.monotonic()
    subprocess.run([*command, "--out=whole"], cwd=tmp_path, check=True, capture_output=True)
    whole = time.monotonic() - started
    for _ in range(10):
        process = subprocess.Popen(
            [*command, "--out=killed"], cwd=tmp_path, stderr=subprocess.DEVNULL, text=True
        )
        time.sleep(rng.uniform(0.3, 1) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--out=killed"], cwd=tmp_path, check=True, capture_output=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_training_from_the_folder_equals_training_from_the_log(tmp_path):
    log = load_interactions(DataConfig(synthetic=SyntheticConfig(users=120, items=40)), seed=0)
    log.log.write_parquet(tmp_path / "log.parquet")
    log.items.write_parquet(tmp_path / "items.parquet")
    reading = ("--log.rating=rating", "--items=items.parquet")
    done = run_prepare(
        "--dataset=log.parquet", "--out=prepared", *reading, "--buckets=1", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    small = ("--encoder=bow", "--epochs=2", "--embedding-dim=4", "--hidden-units=4")
    small += (
        "--item-features=genres",
        "--target-weight=rating:1=0,2=0,3=1,4=1,5=2",
        "--predict-ratings",
    )
    figures = []
    for flags in (("--dataset=log.parquet", *reading), ("--dataset=prepared",)):
        name = f"--run-dir={flags[0][10:]}-run"
        run = run_train(*flags, *small, name, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        figures.append(read_json(tmp_path / name[10:] / "summary.json"))
    assert figures[0]["test"] == figures[1]["test"]
    assert figures[0]["validation"] == figures[1]["validation"]


def test_splits_and_ids_do_not_depend_on_the_number_of_buckets(tmp_path):
    write_log(tmp_path)
    config = DataConfig(
        dataset=str(tmp_path / "log.csv"), filters=FilterConfig(min_item_interactions=1)
    )
    ours = make_dataset(load_ordered(config, seed=0), config, seed=0)
    prepare_and_read(tmp_path, *KEEP_ALL, "--buckets=5")
    config = DataConfig(dataset=str(tmp_path / "prepared"))
    theirs = make_dataset(load_ordered(config, seed=0), config, seed=0)
    assert ours.vocabulary.values.equals(theirs.vocabulary.values)
    assert ours.vocabulary.counts.tolist() == theirs.vocabulary.counts.tolist()
    for name in ("validation", "test"):
        targets = [each.timelines.items[getattr(each.split, name)] for each in (ours, theirs)]
        assert np.sort(targets[0]).tolist() == np.sort(targets[1]).tolist()


@pytest.mark.slow
def test_spark_prepares_the_same_files(tmp_path):
    pytest.importorskip("pyspark", reason="PySpark is not installed (the extra `spark`)")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("there is no Java")
    rng = np.random.default_rng(0)
    (tmp_path / "log of=all").mkdir()
    for part in range(3):
        pl.DataFrame(
            {
                "user": [f"ü{user}" for user in rng.integers(0, 40, 200)],
                "item": rng.integers(0, 20, 200),
                "timestamp": pl.Series(rng.integers(0, 30, 200)).cast(pl.Datetime("us")),
                "stars": rng.integers(1, 6, 200),
                "device": rng.choice(["phone", "desk"], 200),
            }
        ).write_parquet(tmp_path / "log of=all" / f"part {part}.parquet")
    flags = ("--dataset=log of=all", "--log.rating=stars", "--keep-columns=device", "--buckets=6")
    flags += ("--drop-duplicates", "--min-rating=2", "--break-ties=3")
    assert run_prepare(*flags, "--out=local", cwd=tmp_path).returncode == 0
    command = [sys.executable, str(ROOT / "experiments" / "prepare.py"), *flags, "--out=spark"]
    command += ["--engine=spark", "--master=local[2]"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    local, spark = files_of(tmp_path / "local"), files_of(tmp_path / "spark")
    assert local == spark
    assert read_manifest(tmp_path / "spark").rows == 600
