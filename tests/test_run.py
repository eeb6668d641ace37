"""The train command: its run directory, its output, resuming, and its errors."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxrec.cli import benchmark_training as benchmark
from jaxrec.cli import train as one_run
from jaxrec.runs.summary import load_summary
from tests.exports import call, command

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"
PNG = b"\x89PNG\r\n\x1a\n"

MODEST = [
    "--embedding-dim=16",
    "--hidden-units=16",
    "--negatives=64",
    "--batch-size=64",
    "--epochs=3",
]
SMALL = ["--synthetic.users=300", "--synthetic.items=100", *MODEST]


def run(*flags: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return call(one_run.main, *flags, cwd=cwd)


def run_alone(*flags: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return command("experiments/run.py", *flags, cwd=cwd, **environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Train one run, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run_alone("--encoder=rnn", *SMALL, cwd=folder)


def test_it_writes_a_complete_run_directory(finished):
    folder, process = finished
    assert process.returncode == 0, process.stderr
    run_dir = folder / "runs" / "synthetic-rnn-n10"
    assert {path.name for path in run_dir.iterdir()} == {
        "config.toml",
        "schema.json",
        "vocabulary.json",
        "catalogue.json",
        "heldout.npz",
        "checkpoints",
        "metrics.jsonl",
        "tensorboard",
        "curve.png",
        "ranks.npz",
        "summary.json",
    }
    assert (run_dir / "curve.png").read_bytes().startswith(PNG)
    assert len((run_dir / "metrics.jsonl").read_text().splitlines()) == 3
    columns = json.loads((run_dir / "catalogue.json").read_text())
    assert columns.keys() == {"item", "title", "genres", "year"}
    with np.load(run_dir / "heldout.npz", allow_pickle=False) as heldout:
        assert heldout["history.item"].shape == (300, 10)


def test_the_summary_has_metrics_and_protocol(finished):
    folder, _ = finished
    summary = json.loads((folder / "runs/synthetic-rnn-n10/summary.json").read_text())
    parts = {"protocol", "test", "validation", "baselines", "train", "model"}
    assert summary.keys() == parts | {"heads", "now_unknown"}
    assert (summary["heads"], summary["now_unknown"]) == ({}, None)
    assert summary["protocol"]["split"] == "leave-one-out"
    assert summary["protocol"]["seen_items"] == "left out"
    assert summary["baselines"].keys() == {"popularity", "transitions"}
    for figures in (summary["test"], summary["validation"], *summary["baselines"].values()):
        for name in ("recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr"):
            low, high = figures["intervals"][name]
            assert 0 <= low <= figures["means"][name] <= high <= 1
        for name in ("ndcg@10 (graded)", "recall@10 (rated >= 4)", "ndcg@10 (rated >= 4)"):
            low, high = figures["intervals"][name]
            assert 0 <= low <= figures["means"][name] <= high <= 1
        assert 1 <= figures["means"]["mean_rank"] <= 100
        assert 0 < figures["coverage"] <= 1
    assert summary["train"].keys() >= {"targets_per_s", "seconds", "steps"}
    assert summary["model"]["parameters"] > 0


def test_it_prints_one_table_with_model_and_baselines(finished):
    _, process = finished
    assert "synthetic, leave-one-out: 300 targets of 300 test users" in process.stdout
    rows = [line.split()[0] for line in process.stdout.splitlines() if " ±0." in line]
    assert rows == ["rnn", "transitions", "popularity"] * 2
    assert process.stderr == "", "off a terminal the progress bar is silent"


def test_a_finished_run_is_not_overwritten(finished):
    folder, _ = finished
    before = (folder / "runs/synthetic-rnn-n10/summary.json").read_bytes()
    process = run("--encoder=rnn", *SMALL, cwd=folder)
    assert process.returncode == 2
    assert "contains a finished run; give --resume" in process.stderr
    assert (folder / "runs/synthetic-rnn-n10/summary.json").read_bytes() == before


def test_resuming_a_finished_run_prints_its_table(finished):
    folder, process = finished
    again = run("--encoder=rnn", *SMALL, "--resume", cwd=folder)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-10:] == process.stdout.splitlines()[-12:-2]


def test_another_configuration_is_not_resumed(finished):
    folder, _ = finished
    process = run("--encoder=rnn", *SMALL, "--resume", "--learning-rate=0.5", cwd=folder)
    assert process.returncode == 2
    assert "another configuration (--learning-rate: None, not 0.5)" in process.stderr


def latest_params(run_dir: Path) -> dict[str, np.ndarray]:
    step = max(int(path.name) for path in (run_dir / "checkpoints").iterdir())
    folder = run_dir / "checkpoints" / str(step) / "params"
    return ocp.StandardCheckpointer().restore(folder.absolute())


@pytest.mark.slow
def test_a_run_killed_by_sigkill_resumes_to_the_same_bits(finished, tmp_path):
    """The process gets SIGKILL after the first epoch, which no handler can catch."""
    whole = finished[0] / "runs" / "synthetic-rnn-n10"
    killed = tmp_path / "killed"
    flags = ["--encoder=rnn", *SMALL, f"--run-dir={killed}"]
    process = subprocess.Popen(
        [sys.executable, str(EXPERIMENTS / "run.py"), *flags],
        env={**os.environ, "XLA_FLAGS": ""},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (killed / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "summary.json").exists()

    resumed = run_alone(*flags, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = latest_params(whole), latest_params(killed)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    figures = [json.loads((folder / "summary.json").read_text()) for folder in (whole, killed)]
    assert figures[0]["test"] == figures[1]["test"]


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
    "too little": (["--dataset=short.csv"], "2 by --min-item-interactions=5 were dropped"),
    "no ratings": (["--dataset=log.csv", "--min-rating=3"], "--log.rating"),
    "a file for a folder": (["--run-dir=log.csv"], "--run-dir=log.csv is a file"),
    "somebody's folder": (["--run-dir=."], "contains other files"),
    "both": (["--resume", "--overwrite"], "exclude each other"),
    "unwritable": (["--run-dir=/proc/runs/here", *SMALL], "/proc/runs"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_invalid_flag_or_file_is_one_line_and_leaves_no_files(tmp_path, mistake):
    flags, said = MISTAKES[mistake]
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "bad.csv").write_text("user,item,timestamp\nu1,i1,1\nu1,i2,tomorrow\n")
    (tmp_path / "empty.csv").write_text("user,item,timestamp\n")
    (tmp_path / "short.csv").write_text("user,item,timestamp\nu1,i1,1\nu2,i1,2\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    process = run(*flags, cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("error: ")
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert said in process.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


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
        process = run_alone(*SMALL, "--embedding-dim=128", cwd=tmp_path, **environment)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert process.returncode == 2, process.stderr
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert "File too large" in process.stderr
    assert "--resume" in process.stderr
    assert not list(tmp_path.rglob(".*")), "no temporary file stays"


def test_a_csv_log_with_an_item_table(tmp_path):
    """The log has other column names, ISO dates and ids as text."""
    rows = [
        f"c{user},sku-{(user + step) % 9},2024-05-{step + 1:02}T08:00:00Z\n"
        for user in range(60)
        for step in range(8)
    ]
    (tmp_path / "log.csv").write_text("customer,product,at\n" + "".join(rows))
    (tmp_path / "products.csv").write_text(
        "product,title,genres\n" + "".join(f"sku-{i},Thing {i},A|B\n" for i in range(9))
    )
    process = run(
        "--dataset=log.csv",
        "--log.user=customer",
        "--log.item=product",
        "--log.time=at",
        "--items=products.csv",
        "--keep-seen",
        "--encoder=bow",
        *MODEST,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    catalogue = json.loads((tmp_path / "runs/log-bow-n10/catalogue.json").read_text())
    assert len(catalogue["item"]) == 9
    assert catalogue["title"][0].startswith("Thing ")
    assert catalogue["genres"][0] == ["A", "B"]


@pytest.mark.parametrize("split", ["temporal", "random-pairs"])
def test_every_split_runs_and_is_named(tmp_path, split):
    process = run("--encoder=bow", f"--split={split}", *SMALL, "--epochs=1", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert f"synthetic, {split}:" in process.stdout
    assert ("leaks the future" in process.stdout) == (split == "random-pairs")
    rows = [line for line in process.stdout.splitlines() if line.startswith("popular in 7 days ")]
    assert len(rows) == 2 * (split == "temporal")


def test_times_without_a_unit_leave_one_baseline_out_with_a_note(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    flags = ["--dataset=log.csv", "--encoder=bow", "--split=temporal", "--keep-seen", *MODEST]
    process = run(*flags, "--epochs=1", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "no baseline 'popular in 7 days': times from 0 to 5 are not seconds" in process.stdout
    assert not any(line.startswith("popular in 7") for line in process.stdout.splitlines())


def test_the_benchmark_measures_every_encoder(tmp_path):
    flags = ["--synthetic.users=60", "--synthetic.items=30", "--embedding-dim=4"]
    flags += ["--hidden-units=4", "--batch-size=8", "--negatives=8", "--repeats=1"]
    process = call(benchmark.main, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    for row in ("training, bow", "training, cnn", "training, rnn", "ranking 60 tests, rnn"):
        assert row in process.stdout
    assert re.search(r"peak \(large matrix product\) +\d+ GFLOP/s", process.stdout)
    assert len(re.findall(r"\d% of peak\)", process.stdout)) == 4


def test_help_teaches(tmp_path):
    process = run_alone("--help", cwd=tmp_path)
    whole = run("--help-all", cwd=tmp_path).stdout
    for flag in ("--negatives", "--batch-size", "--transformer.blocks", "--log.user"):
        assert flag in whole
    assert process.returncode == 0
    for flag in (
        *(
            "--encoder",
            "bow: the mean",
            "cnn: conv",
            "rnn: an LSTM",
            "transformer: attention",
            "--dataset",
            "--data-dir",
            "--history-length",
            "--split",
        ),
        *("--embedding-dim", "--hidden-units", "--learning-rate", "--config", "--transformer."),
        *("--epochs", "--seed", "--run-dir", "--resume", "--overwrite"),
    ):
        assert flag in process.stdout
    assert "jaxrec train --encoder=rnn" in process.stdout


def test_a_dry_run_summarizes_the_log_and_leaves_no_files(tmp_path):
    rows = [f"{user},{item},{item}\n" for user in range(9) for item in range(5)]
    (tmp_path / "log.csv").write_text("user,item,timestamp\n" + "".join([*rows, "9,0,0\n"]))
    process = run("--dataset=log.csv", "--dry-run", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [
        "log.csv: 46 rows in, 45 kept: interactions of 9 users with 5 items",
        "  dropped: 1 by --min-user-interactions=3",
        "  note: 5 items leave none to recommend after a history of 10: lower --history-length or "
        "give --keep-seen before an export",
        "  leave-one-out: 27 training targets, 9 validation targets, 9 test targets",
        "  chosen for this log: dropout 0.4 (5 targets per item), full softmax "
        "(5 items), 320 targets per step (of 27), learning rate 0.0027",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_the_protocol_has_the_log_summary(finished):
    folder, process = finished
    told = load_summary(folder / "runs" / "synthetic-rnn-n10" / "summary.json").protocol.intake
    assert told.users == 300 and told.items <= 100 and told.rows >= told.kept > 0
    assert f"{told.rows:,} rows in, {told.kept:,} kept" in process.stdout
