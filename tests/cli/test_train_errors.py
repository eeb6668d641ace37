"""The command `train`: one-line errors, full disks, and a note in place of a baseline."""

import os
import resource
from pathlib import Path

import pytest

from jaxrec.cli.train import main
from tests.exports import QUICK_MODEL, QUICK_RUN, run_script, run_train

LOG = "user,item,timestamp\n" + "".join(
    f"u{user},i{(user + step) % 7},{step}\n" for user in range(30) for step in range(6)
)

MISTAKES = {
    "unknown encoder": (["--encoder=gru"], "--encoder=gru is unknown; give bow, cnn, rnn, t"),
    "unknown flag": (["--epoch=3"], "--epoch"),
    "no number": (["--epochs=ten"], "ten"),
    "negative": (["--negatives=-1"], "--negatives=-1 is out of range"),
    "absurd": (["--history-length=100000"], "--history-length=100000 is out of range"),
    "dropout": (["--dropout=1"], "--dropout=1 is out of range"),
    "unknown dataset": (["--dataset=netflix"], "unknown --dataset=netflix"),
    "missing file": (["--dataset=missing.csv"], "missing.csv"),
    "missing folder": (["--dataset=ml-1m", "--data-dir=nowhere"], "nowhere"),
    "missing column": (["--dataset=log.csv", "--log.user=who"], "--log.user"),
    "bad row": (["--dataset=bad.csv"], "line 3"),
    "empty log": (["--dataset=empty.csv"], "empty.csv"),
    "a single item": (
        ["--dataset=single.csv", "--min-item-interactions=1"],
        "the log has a single item, 'i1', so there is nothing to recommend",
    ),
    "too little": (["--dataset=short.csv"], "2 by --min-item-interactions=5 were dropped"),
    "no ratings": (["--dataset=log.csv", "--min-rating=3"], "--log.rating"),
    "a file for a folder": (["--run-dir=log.csv"], "--run-dir=log.csv is a file"),
    "somebody's folder": (["--run-dir=."], "contains other files"),
    "both": (["--resume", "--overwrite"], "exclude each other"),
    "unwritable": (["--run-dir=/proc/runs/here", *QUICK_RUN], "/proc/runs"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_invalid_flag_or_file_is_one_line_and_leaves_no_files(tmp_path, mistake):
    flags, message = MISTAKES[mistake]
    (tmp_path / "log.csv").write_text(LOG)
    rows = "".join(f"u1,i1,{time}\n" for time in range(9))
    (tmp_path / "single.csv").write_text(f"user,item,timestamp\n{rows}")
    (tmp_path / "bad.csv").write_text("user,item,timestamp\nu1,i1,1\nu1,i2,tomorrow\n")
    (tmp_path / "empty.csv").write_text("user,item,timestamp\n")
    (tmp_path / "short.csv").write_text("user,item,timestamp\nu1,i1,1\nu2,i1,2\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    process = run_train(*flags, cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("error: ")
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert message in process.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("largest_file", [2_000, 30_000], ids=["at once", "at a checkpoint"])
def test_a_full_disk_is_reported_in_one_line(tmp_path, largest_file):
    """RLIMIT_FSIZE limits the size of every file, which fails a write as a full disk does."""
    environment = {
        "JAX_COMPILATION_CACHE_DIR": "",  # its files would exceed the limit too
        "XLA_FLAGS": os.environ["XLA_FLAGS"],
    }
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, limit[1]))
    try:
        process = run_script(
            "experiments/run.py", *QUICK_RUN, "--embedding-dim=128", cwd=tmp_path, **environment
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert process.returncode == 2, process.stderr
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert "File too large" in process.stderr
    assert "--resume" in process.stderr
    assert not list(tmp_path.rglob(".*")), "no temporary file stays"


def test_times_without_a_unit_leave_one_baseline_out_with_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text(LOG)
    flags = ["--dataset=log.csv", "--encoder=bow", "--split=temporal", "--keep-seen", *QUICK_MODEL]
    assert main([*flags, "--epochs=1"]) == 0
    output = capsys.readouterr().out
    assert "no baseline 'popular in 7 days': times from 0 to 5 are not seconds" in output
    assert not any(line.startswith("popular in 7") for line in output.splitlines())
