"""Training and conversion of small synthetic runs that several tests share."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from tests import ROOT

ENCODERS = ("bow", "cnn", "rnn")

# Small enough for tests that do not check the recall.
QUICK_MODEL = [
    "--embedding-dim=16",
    "--hidden-units=16",
    "--negatives=64",
    "--batch-size=64",
    "--epochs=3",
]
QUICK_RUN = ["--synthetic.users=300", "--synthetic.items=100", *QUICK_MODEL]

# Large enough to learn something in a few seconds.
SMALL_RUN = [
    "--synthetic.users=600",
    "--synthetic.items=150",
    "--embedding-dim=16",
    "--hidden-units=24",
    "--negatives=64",
    "--batch-size=32",
    "--learning-rate=0.01",
    "--dropout=0.1",
    "--epochs=4",
]


# Warnings of deprecation are errors in processes of their own too.
PYTHONWARNINGS = "error::DeprecationWarning,error::FutureWarning"


def small_log() -> pl.DataFrame:
    """Return a log of 60 users who each step through a cycle of 20 items, from their own start."""
    return pl.DataFrame(
        [
            (f"u{user}", ("B" if item == 7 else "A") + str(item), step)
            for user in range(60)
            for step in range(12)
            for item in [(user + step) % 20]
        ],
        schema=["user", "item", "timestamp"],
        orient="row",
    )


def run_script(
    script: str, *flags: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository in a process of its own, with deprecations as errors."""
    return subprocess.run(
        [sys.executable, str(ROOT / script), *flags],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONWARNINGS": PYTHONWARNINGS,
            "XLA_FLAGS": "",
            "COLUMNS": "100",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def call(
    main: Callable[[Sequence[str]], int], *flags: str, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: starting another one costs two seconds."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(flags)
    return subprocess.CompletedProcess(flags, code, out.getvalue(), err.getvalue())


def convert(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Convert to float32 in this process, for tests that do not need the other recipes."""
    # Imported late: the import hook does not check modules that are imported before it.
    from jaxrec.cli import export

    return call(export.main, "--recipe=float32", *flags, cwd=cwd)


def run_train(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command `train` in this process."""
    from jaxrec.cli import train as train_command

    return call(train_command.main, *flags, cwd=cwd)


def train(folder: Path, encoder: str, *flags: str) -> Path:
    """Train a run in the folder, in this process, and return its directory."""
    run_dir = folder / "runs" / encoder
    process = run_train(
        f"--encoder={encoder}", f"--run-dir={run_dir}", *SMALL_RUN, *flags, cwd=folder
    )
    assert process.returncode == 0, process.stderr
    return run_dir


def train_without(items: Sequence[str], run_dir: Path, *flags: str) -> Path:
    """Train a quick run on `small_log` without some of its items, and return its directory.

    Times are squares, so that the gaps between activities differ.
    """
    log = small_log().filter(~pl.col("item").is_in(items))
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    file = run_dir.with_suffix(".csv")
    log.with_columns(pl.col("timestamp") ** 2).write_csv(file)
    process = run_train(
        *(f"--dataset={file}", f"--run-dir={run_dir}", "--min-item-interactions=1"),
        *(*QUICK_MODEL, "--epochs=2", *flags),
        cwd=run_dir.parent,
    )
    assert process.returncode == 0, process.stderr
    return run_dir
