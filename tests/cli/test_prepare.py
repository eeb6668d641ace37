"""The command `prepare`: one-line errors, full disks, and the joined tables."""

import resource
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import make_dataset
from jaxrec.data.prepared import read_manifest
from jaxrec.data.sources.load import load_ordered
from tests import ROOT
from tests.prepared_logs import KEEP_ALL, files_of, prepare_and_read, run_prepare, write_log


@pytest.mark.parametrize("max_bytes", [2_000, 9_000, 20_000])
def test_a_full_disk_is_one_line_and_the_same_command_resumes(tmp_path, max_bytes):
    """A limit on the size of a file makes one of the steps fail."""
    rng = np.random.default_rng(0)
    log = {"user": rng.integers(0, 300, 9_000), "item": rng.integers(0, 50, 9_000)}
    pl.DataFrame(log | {"timestamp": np.arange(9_000)}).write_parquet(tmp_path / "log.parquet")
    command = [sys.executable, str(ROOT / "experiments" / "prepare.py"), "--dataset=log.parquet"]
    command += ["--buckets=3", "--out=prepared"]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, limit[1]))
    try:
        full = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert full.returncode == 2, full.stderr
    last = full.stderr.replace("\r", "\n").splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last, full.stderr
    assert "run the same command again" in last
    done = run_prepare("--dataset=log.parquet", "--buckets=3", "--out=prepared", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run_prepare("--dataset=log.parquet", "--buckets=3", "--out=whole", cwd=tmp_path)
    assert files_of(tmp_path / "prepared") == files_of(tmp_path / "whole")


def test_a_damaged_intermediate_file_is_named(tmp_path, monkeypatch):
    write_log(tmp_path)
    flags = ("--dataset=log.csv", *KEEP_ALL, "--buckets=2", "--out=prepared")
    with monkeypatch.context() as patch:
        patch.setattr(
            "jaxrec.data.preparation.steps.order_bucket",
            lambda *_: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        assert run_prepare(*flags, cwd=tmp_path).returncode == 130
    part = next((tmp_path / "prepared" / "work" / "clean").glob("*.parquet"))
    part.write_bytes(b"no table")
    done = run_prepare(*flags, cwd=tmp_path)
    assert done.returncode == 2
    assert f"clean/{part.name} is missing or damaged" in done.stderr.splitlines()[-1]
    assert "prepare the log again, with --overwrite" in done.stderr
    assert run_prepare(*flags, "--overwrite", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--buckets=0",), "--buckets=0 is out of range; give 1 to 10,000"),
        (("--memory=4",), "--memory=4 is out of range; give 100MB or more, as 500MB or 4GB"),
        (("--memory=1MB",), "--memory=1MB is out of range; give 100MB or more"),
        (("--keep-columns=colour",), "log.csv has no column 'colour'"),
        (("--log.user=who",), "log.csv has no column 'who'"),
        (("--min-rating=3",), "--min-rating=3 needs ratings and the log has none"),
        (("--min-item-interactions=100",), "none of 60 rows is left: 60 by --min-item-int"),
        (("--out=full",), "full contains other files; give --out a new folder"),
        (("--out=full", "--overwrite"), "full contains other files; give --out a new folder"),
        (
            ("--out=done", "--keep-columns=item"),
            "--log.item and --keep-columns both name the column 'item'",
        ),
        (("--out=done",), "done was prepared from other inputs (--min-item-interactions: 1, not 5"),
    ],
)
def test_errors_are_one_line(tmp_path, flags, message):
    write_log(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    run_prepare("--dataset=log.csv", "--out=done", *KEEP_ALL, cwd=tmp_path)
    out = () if any(flag.startswith("--out") for flag in flags) else ("--out=prepared",)
    done = run_prepare("--dataset=log.csv", *out, *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {message}"), done.stderr
    assert (tmp_path / "full" / "mine").read_text() == "precious"


def test_an_unreadable_row_is_named_by_its_line(tmp_path):
    path = write_log(tmp_path)
    with path.open("a") as file:
        file.write("u1,i1,soon\n")
    done = run_prepare("--dataset=log.csv", "--out=prepared", *KEEP_ALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "log.csv, line 62: column 'timestamp' has 'soon'" in done.stderr


def test_buckets_too_large_for_memory_are_refused_with_a_number_that_fits(tmp_path, monkeypatch):
    write_log(tmp_path)
    monkeypatch.setattr("jaxrec.data.preparation.steps._BYTES_PER_ROW", 10_000_000)
    done = run_prepare(
        "--dataset=log.csv",
        "--out=prepared",
        *KEEP_ALL,
        "--buckets=1",
        "--memory=100MB",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "a bucket of 60 rows needs 0.6 GB; give --buckets=6, or more --memory" in done.stderr


def test_a_changed_log_is_prepared_again_with_overwrite(tmp_path):
    path = write_log(tmp_path)
    flags = ("--dataset=log.csv", "--out=prepared", *KEEP_ALL)
    assert run_prepare(*flags, cwd=tmp_path).returncode == 0
    assert run_prepare(*flags, cwd=tmp_path).returncode == 0
    with path.open("a") as file:
        file.write("u1,i1,9\n")
    done = run_prepare(*flags, cwd=tmp_path)
    assert (
        done.returncode == 2
        and "was prepared from other inputs (the log has changed)" in done.stderr
    )
    assert run_prepare(*flags, "--overwrite", cwd=tmp_path).returncode == 0
    assert read_manifest(tmp_path / "prepared").rows == 61


def test_user_and_item_tables_are_joined(tmp_path):
    write_log(tmp_path)
    users = [(f"u{user}", ["old", "young"][user % 2]) for user in range(12)]
    pl.DataFrame(users, schema=["user", "age"], orient="row").write_csv(tmp_path / "users.csv")
    items = [(f"i{item}", f"Film {item}", "Drama|War") for item in range(7)]
    pl.DataFrame(items, schema=["item", "title", "genres"], orient="row").write_csv(
        tmp_path / "items.csv"
    )
    flags = ("--items=items.csv", "--users=users.csv", "--user-features=age", "--buckets=3")
    log = prepare_and_read(tmp_path, *KEEP_ALL, *flags)
    assert dict(log.users.rows()) == dict(users)
    assert log.catalogue["title"].to_list() == [f"Film {item}" for item in range(7)]
    config = DataConfig(dataset=str(tmp_path / "prepared"), user_features="age")
    dataset = make_dataset(load_ordered(config, seed=0), config, seed=0)
    assert [each.name for each in dataset.features] == ["user_age"]
