"""Logs that tests prepare in buckets, and the files of a prepared log."""

import subprocess
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.cli import prepare as prepare_command
from jaxrec.data.ordered import OrderedLog
from jaxrec.data.prepared import read_prepared
from tests.exports import call

KEEP_ALL = ("--min-item-interactions=1", "--min-user-interactions=1")


def run_prepare(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return call(prepare_command.main, *flags, cwd=cwd)


def prepare_and_read(folder: Path, *flags: str, log: str = "log.csv") -> OrderedLog:
    done = run_prepare(f"--dataset={log}", "--out=prepared", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    return read_prepared(folder / "prepared")


def write_log(folder: Path, users: int = 12) -> Path:
    """Write a log of users with five of seven items each, at two times."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", time)
        for user in range(users)
        for item, time in zip(
            rng.choice(7, 5, replace=False).tolist(), [1, 1, 2, 2, 2], strict=True
        )
    ]
    path = folder / "log.csv"
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_csv(path)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
