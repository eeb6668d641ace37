"""Preparation in buckets: the result equals that in memory, also after interruptions."""

import os
import resource
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

from jaxrec.cli import prepare as command_of_prepare
from jaxrec.cli import train as command_of_run
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import make_dataset
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.data.prepared import read_manifest, read_prepared
from jaxrec.data.sources.load import load_interactions, load_ordered
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json
from tests.exports import call
from tests.worlds import data_config

ROOT = Path(__file__).parents[1]
ALL = ("--min-item-interactions=1", "--min-user-interactions=1")


def prepare(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return call(command_of_prepare.main, *flags, cwd=cwd)


def prepared(folder: Path, *flags: str, log: str = "log.csv") -> OrderedLog:
    done = prepare(f"--dataset={log}", "--out=prepared", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    return read_prepared(folder / "prepared")


def in_memory(folder: Path, **flags) -> OrderedLog:
    config = data_config(dataset=str(folder / "log.csv"), **flags)
    return order_log(load_interactions(config, seed=0), config.filters)


def timelines(log: OrderedLog) -> dict:
    """Return each raw user's activities, as raw items, times and further columns."""
    rows = log.columns.rows() or [()] * len(log.items)
    found = {}
    for user, start, end in zip(log.users.rows(), log.offsets, log.offsets[1:], strict=False):
        items = log.catalogue["item"].gather(log.items[start:end] - 1).to_list()
        found[user] = list(
            zip(items, log.timestamps[start:end].tolist(), rows[start:end], strict=True)
        )
    return found


def require_same(one: OrderedLog, other: OrderedLog) -> None:
    """Compare all but the order of the users and the notes of single buckets."""
    assert timelines(one) == timelines(other)
    assert one.catalogue.equals(other.catalogue)
    for name in ("items", "offsets", "timestamps"):
        assert getattr(one, name).dtype == getattr(other, name).dtype, name
    for name in ("ticks_per_second", "rows", "dropped", "anomalies"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.columns.schema == other.columns.schema


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


@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(
    rows=rows,
    buckets=st.integers(1, 4),
    at_once=st.integers(1, 50),
    plain=st.booleans(),
    drops=st.booleans(),
    least=st.integers(1, 2),
)
def test_preparation_in_buckets_equals_that_in_memory(rows, buckets, at_once, plain, drops, least):
    """Ids, times and other columns have the type that fits all rows, not those of a bucket."""
    if plain:
        rows = [(str(len(a)), str(len(b)), t, r, "1") for a, b, t, r, _ in rows]
    columns = ["user", "item", "timestamp", "stars", "more"]
    filters = {
        "drop_duplicates": drops,
        "min_rating": 2.0 if drops else None,
        "min_item_interactions": least,
        "min_user_interactions": least,
    }
    said = [f"--min-item-interactions={least}", f"--min-user-interactions={least}"]
    said += ["--drop-duplicates", "--min-rating=2"] if drops else []
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_of_prepare, "_MAX_ROWS_AT_ONCE", at_once)
        folder = Path(name)
        pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "log.csv")
        try:
            expected = in_memory(
                folder, activity_features="more", log=LogConfig(rating="stars"), **filters
            )
        except UserError as error:
            done = prepare(
                *("--dataset=log.csv", "--out=prepared", f"--buckets={buckets}"),
                *("--log.rating=stars", "--keep=more", *said),
                cwd=folder,
            )
            assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"error: {error}")
            return
        flags = [f"--buckets={buckets}", "--log.rating=stars", "--keep=more", *said]
        require_same(prepared(folder, *flags), expected)


def write_log(folder: Path, users: int = 12) -> Path:
    """Write a log of users with five of seven items each, at two times."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", when)
        for user in range(users)
        for item, when in zip(
            rng.choice(7, 5, replace=False).tolist(), [1, 1, 2, 2, 2], strict=True
        )
    ]
    path = folder / "log.csv"
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_csv(path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_interrupted_preparation_resumes_to_the_same_files(tmp_path, monkeypatch):
    write_log(tmp_path)
    monkeypatch.setattr(command_of_prepare, "_MAX_ROWS_AT_ONCE", 13)
    flags = ("--dataset=log.csv", *ALL, "--buckets=3")
    prepare(*flags, "--out=whole", cwd=tmp_path)
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
        done = prepare(*flags, "--out=stopped", cwd=tmp_path)
        if done.returncode == 0:
            break
        assert (done.returncode, "the same command continues" in done.stderr) == (130, True)
        stops += 1
    assert stops > 5
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
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
    words = [sys.executable, str(ROOT / "experiments" / "prepare.py"), "--dataset=log.parquet"]
    words += ["--memory=100MB", "--buckets=16"]
    started = time.monotonic()
    subprocess.run([*words, "--out=whole"], cwd=tmp_path, check=True, capture_output=True)
    whole = time.monotonic() - started
    for _ in range(10):
        process = subprocess.Popen(
            [*words, "--out=killed"], cwd=tmp_path, stderr=subprocess.DEVNULL, text=True
        )
        time.sleep(rng.uniform(0.3, 1) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*words, "--out=killed"], cwd=tmp_path, check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_training_from_the_folder_equals_training_from_the_log(tmp_path):
    log = load_interactions(DataConfig(synthetic=SyntheticConfig(users=120, items=40)), seed=0)
    log.log.write_parquet(tmp_path / "log.parquet")
    log.items.write_parquet(tmp_path / "items.parquet")
    reading = ("--log.rating=rating", "--items=items.parquet")
    done = prepare("--dataset=log.parquet", "--out=prepared", *reading, "--buckets=1", cwd=tmp_path)
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
        run = call(command_of_run.main, *flags, *small, name, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        figures.append(read_json(tmp_path / name[10:] / "summary.json"))
    assert figures[0]["test"] == figures[1]["test"]
    assert figures[0]["validation"] == figures[1]["validation"]


def test_splits_and_ids_do_not_depend_on_the_number_of_buckets(tmp_path):
    write_log(tmp_path)
    config = DataConfig(
        dataset=str(tmp_path / "log.csv"), filters=FilterConfig(min_item_interactions=1)
    )
    one = make_dataset(load_ordered(config, seed=0), config, seed=0)
    prepared(tmp_path, *ALL, "--buckets=5")
    config = DataConfig(dataset=str(tmp_path / "prepared"))
    other = make_dataset(load_ordered(config, seed=0), config, seed=0)
    assert one.vocabulary.values.equals(other.vocabulary.values)
    assert one.vocabulary.counts.tolist() == other.vocabulary.counts.tolist()
    for name in ("validation", "test"):
        targets = [each.timelines.items[getattr(each.split, name)] for each in (one, other)]
        assert np.sort(targets[0]).tolist() == np.sort(targets[1]).tolist()


def test_arrays_are_memory_mapped(tmp_path):
    write_log(tmp_path)
    log = prepared(tmp_path, *ALL)
    assert isinstance(log.items, np.memmap) and isinstance(log.timestamps, np.memmap)


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("item.npy", "item.npy: bucket 2 of 3, rows"),
        ("timestamp.npy", "timestamp.npy: bucket 2 of 3, rows"),
        ("offsets.npy", "offsets.npy is damaged"),
        ("items.parquet", "items.parquet is damaged"),
        ("users.parquet", "users.parquet is damaged"),
        ("manifest.json", "manifest.json is damaged"),
    ],
)
def test_a_damaged_or_missing_file_is_named(tmp_path, name, told):
    write_log(tmp_path)
    prepared(tmp_path, *ALL, "--buckets=3")
    path = tmp_path / "prepared" / name
    if name == "manifest.json":
        path.write_text("{")
    else:
        damaged(path)
    with pytest.raises(UserError, match=told):
        read_prepared(tmp_path / "prepared")
    path.unlink()
    with pytest.raises(UserError, match=f"{name} is missing; prepare the log again"):
        read_prepared(tmp_path / "prepared")


def test_a_folder_of_another_layout_is_refused(tmp_path):
    write_log(tmp_path)
    prepared(tmp_path, *ALL)
    path = tmp_path / "prepared" / "manifest.json"
    write_json(path, {**read_json(path), "layout": 99})
    with pytest.raises(UserError, match="has layout 99, this version reads 1; prepare the log"):
        read_manifest(tmp_path / "prepared")


def test_too_many_activities_are_refused(tmp_path):
    write_log(tmp_path)
    prepared(tmp_path, *ALL)
    path = tmp_path / "prepared" / "manifest.json"
    saved = read_json(path)
    saved["buckets"][0]["rows"] += 2**32
    write_json(path, saved)
    with pytest.raises(UserError, match=r"has 4,294,967,356 activities, and the limit is"):
        read_prepared(tmp_path / "prepared")


@pytest.mark.parametrize("most", [2_000, 9_000, 20_000])
def test_a_full_disk_is_one_line_and_the_same_command_resumes(tmp_path, most):
    """A limit on the size of a file makes one of the steps fail."""
    rng = np.random.default_rng(0)
    log = {"user": rng.integers(0, 300, 9_000), "item": rng.integers(0, 50, 9_000)}
    pl.DataFrame(log | {"timestamp": np.arange(9_000)}).write_parquet(tmp_path / "log.parquet")
    words = [sys.executable, str(ROOT / "experiments" / "prepare.py"), "--dataset=log.parquet"]
    words += ["--buckets=3", "--out=prepared"]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limit[1]))
    try:
        full = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert full.returncode == 2, full.stderr
    last = full.stderr.replace("\r", "\n").splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last, full.stderr
    assert "run the same command again" in last
    done = prepare("--dataset=log.parquet", "--buckets=3", "--out=prepared", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    prepare("--dataset=log.parquet", "--buckets=3", "--out=whole", cwd=tmp_path)
    assert contents(tmp_path / "prepared") == contents(tmp_path / "whole")


def test_a_damaged_intermediate_file_is_named(tmp_path, monkeypatch):
    write_log(tmp_path)
    flags = ("--dataset=log.csv", *ALL, "--buckets=2", "--out=prepared")
    with monkeypatch.context() as patch:
        patch.setattr(
            "jaxrec.data.preparation.steps.order_bucket",
            lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        assert prepare(*flags, cwd=tmp_path).returncode == 130
    part = next((tmp_path / "prepared" / "work" / "clean").glob("*.parquet"))
    part.write_bytes(b"no table")
    done = prepare(*flags, cwd=tmp_path)
    assert done.returncode == 2
    assert f"clean/{part.name} is missing or damaged" in done.stderr.splitlines()[-1]
    assert "prepare the log again, with --overwrite" in done.stderr
    assert prepare(*flags, "--overwrite", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--buckets=0",), "--buckets=0 is out of range; give 1 to 10,000"),
        (("--memory=4",), "--memory=4 is out of range; give 100MB or more, as 500MB or 4GB"),
        (("--memory=1MB",), "--memory=1MB is out of range; give 100MB or more"),
        (("--keep=colour",), "log.csv has no column 'colour'"),
        (("--log.user=who",), "log.csv has no column 'who'"),
        (("--min-rating=3",), "--min-rating=3 needs ratings and the log has none"),
        (("--min-item-interactions=100",), "none of 60 rows is left: 60 by --min-item-int"),
        (("--out=full",), "full contains other files; give --out a new folder"),
        (("--out=full", "--overwrite"), "full contains other files; give --out a new folder"),
        (("--out=done", "--keep=item"), "--log.item and --keep both name the column 'item'"),
        (("--out=done",), "done was prepared from other inputs (--min-item-interactions: 1, not 5"),
    ],
)
def test_errors_are_one_line(tmp_path, flags, told):
    write_log(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    prepare("--dataset=log.csv", "--out=done", *ALL, cwd=tmp_path)
    out = () if any(flag.startswith("--out") for flag in flags) else ("--out=prepared",)
    done = prepare("--dataset=log.csv", *out, *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {told}"), done.stderr
    assert (tmp_path / "full" / "mine").read_text() == "precious"


def test_an_unreadable_row_is_named_by_its_line(tmp_path):
    path = write_log(tmp_path)
    with path.open("a") as file:
        file.write("u1,i1,soon\n")
    done = prepare("--dataset=log.csv", "--out=prepared", *ALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "log.csv, line 62: column 'timestamp' has 'soon'" in done.stderr


def test_buckets_too_large_for_memory_are_refused_with_a_number_that_fits(tmp_path, monkeypatch):
    write_log(tmp_path)
    monkeypatch.setattr("jaxrec.data.preparation.steps._BYTES_PER_ROW", 10_000_000)
    done = prepare(
        "--dataset=log.csv", "--out=prepared", *ALL, "--buckets=1", "--memory=100MB", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "a bucket of 60 rows needs 0.6 GB; give --buckets=6, or more --memory" in done.stderr


def test_a_changed_log_is_prepared_again_with_overwrite(tmp_path):
    path = write_log(tmp_path)
    flags = ("--dataset=log.csv", "--out=prepared", *ALL)
    assert prepare(*flags, cwd=tmp_path).returncode == 0
    assert prepare(*flags, cwd=tmp_path).returncode == 0
    with path.open("a") as file:
        file.write("u1,i1,9\n")
    done = prepare(*flags, cwd=tmp_path)
    assert (
        done.returncode == 2
        and "was prepared from other inputs (the log has changed)" in done.stderr
    )
    assert prepare(*flags, "--overwrite", cwd=tmp_path).returncode == 0
    assert read_manifest(tmp_path / "prepared").rows == 61


def test_flags_of_prepare_are_refused_in_training(tmp_path):
    write_log(tmp_path)
    prepared(tmp_path, *ALL)
    name = str(tmp_path / "prepared")
    for config in (
        DataConfig(name, filters=FilterConfig(min_rating=3.0)),
        DataConfig(name, log=LogConfig(user="who")),
        DataConfig(name, items="items.csv"),
    ):
        with pytest.raises(UserError, match=r"which is prepared; give it to `jaxrec prepare`"):
            load_ordered(config, seed=0)


def test_user_and_item_tables_are_joined(tmp_path):
    write_log(tmp_path)
    users = [(f"u{user}", ["old", "young"][user % 2]) for user in range(12)]
    pl.DataFrame(users, schema=["user", "age"], orient="row").write_csv(tmp_path / "users.csv")
    items = [(f"i{item}", f"Film {item}", "Drama|War") for item in range(7)]
    pl.DataFrame(items, schema=["item", "title", "genres"], orient="row").write_csv(
        tmp_path / "items.csv"
    )
    flags = ("--items=items.csv", "--users=users.csv", "--user-features=age", "--buckets=3")
    log = prepared(tmp_path, *ALL, *flags)
    assert dict(log.users.rows()) == dict(users)
    assert log.catalogue["title"].to_list() == [f"Film {item}" for item in range(7)]
    config = DataConfig(dataset=str(tmp_path / "prepared"), user_features="age")
    dataset = make_dataset(load_ordered(config, seed=0), config, seed=0)
    assert [each.name for each in dataset.features] == ["user_age"]


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
    flags = ("--dataset=log of=all", "--log.rating=stars", "--keep=device", "--buckets=6")
    flags += ("--drop-duplicates", "--min-rating=2")
    assert prepare(*flags, "--out=local", cwd=tmp_path).returncode == 0
    words = [sys.executable, str(ROOT / "experiments" / "prepare.py"), *flags, "--out=spark"]
    words += ["--engine=spark", "--master=local[2]"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    local, spark = contents(tmp_path / "local"), contents(tmp_path / "spark")
    assert local == spark
    assert read_manifest(tmp_path / "spark").rows == 600
