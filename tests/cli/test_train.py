"""The train command: its run directory, its output, resuming, and its errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxrec.runs.summary import load_summary
from tests import ROOT
from tests.exports import QUICK_MODEL, QUICK_RUN, run_script, run_train

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Train one run, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run_script("experiments/run.py", "--encoder=rnn", *QUICK_RUN, cwd=folder)


def test_it_writes_a_complete_run_directory(finished_run):
    folder, process = finished_run
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


def test_the_summary_has_metrics_and_protocol(finished_run):
    folder, _ = finished_run
    summary = json.loads((folder / "runs/synthetic-rnn-n10/summary.json").read_text())
    parts = {"protocol", "test", "validation", "baselines", "train", "model"}
    assert summary.keys() == parts | {"heads", "without_target_time"}
    assert (summary["heads"], summary["without_target_time"]) == ({}, None)
    assert summary["protocol"]["split"] == "leave-one-out"
    assert summary["protocol"]["excludes_history"] is True
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


def test_it_prints_one_table_with_model_and_baselines(finished_run):
    _, process = finished_run
    assert "synthetic, leave-one-out: 300 targets of 300 test users" in process.stdout
    rows = [line.split()[0] for line in process.stdout.splitlines() if " ±0." in line]
    assert rows == ["rnn", "transitions", "popularity"] * 2
    assert process.stderr == "", "off a terminal the progress bar is silent"


def test_a_finished_run_is_not_overwritten(finished_run):
    folder, _ = finished_run
    before = (folder / "runs/synthetic-rnn-n10/summary.json").read_bytes()
    process = run_train("--encoder=rnn", *QUICK_RUN, cwd=folder)
    assert process.returncode == 2
    assert "contains a finished run; give --resume" in process.stderr
    assert (folder / "runs/synthetic-rnn-n10/summary.json").read_bytes() == before


def test_resuming_a_finished_run_prints_its_table(finished_run):
    folder, process = finished_run
    again = run_train("--encoder=rnn", *QUICK_RUN, "--resume", cwd=folder)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-10:] == process.stdout.splitlines()[-12:-2]


def test_another_configuration_is_not_resumed(finished_run):
    folder, _ = finished_run
    process = run_train("--encoder=rnn", *QUICK_RUN, "--resume", "--learning-rate=0.5", cwd=folder)
    assert process.returncode == 2
    assert "another configuration (--learning-rate: None, not 0.5)" in process.stderr


def latest_params(run_dir: Path) -> dict[str, np.ndarray]:
    step = max(int(path.name) for path in (run_dir / "checkpoints").iterdir())
    folder = run_dir / "checkpoints" / str(step) / "params"
    return ocp.StandardCheckpointer().restore(folder.absolute())


@pytest.mark.slow
def test_a_run_killed_by_sigkill_resumes_to_the_same_bits(finished_run, tmp_path):
    """The process gets SIGKILL after the first epoch, which no handler can catch."""
    whole = finished_run[0] / "runs" / "synthetic-rnn-n10"
    killed = tmp_path / "killed"
    flags = ["--encoder=rnn", *QUICK_RUN, f"--run-dir={killed}"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "experiments" / "run.py"), *flags],
        env={**os.environ, "XLA_FLAGS": ""},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (killed / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "summary.json").exists()

    resumed = run_script("experiments/run.py", *flags, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = latest_params(whole), latest_params(killed)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    figures = [json.loads((folder / "summary.json").read_text()) for folder in (whole, killed)]
    assert figures[0]["test"] == figures[1]["test"]


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
    process = run_train(
        "--dataset=log.csv",
        "--log.user=customer",
        "--log.item=product",
        "--log.time=at",
        "--items=products.csv",
        "--keep-seen",
        "--encoder=bow",
        *QUICK_MODEL,
        cwd=tmp_path,
    )
    assert process.returncode == 0, process.stderr
    catalogue = json.loads((tmp_path / "runs/log-bow-n10/catalogue.json").read_text())
    assert len(catalogue["item"]) == 9
    assert catalogue["title"][0].startswith("Thing ")
    assert catalogue["genres"][0] == ["A", "B"]


@pytest.mark.slow
@pytest.mark.parametrize("split", ["temporal", "random-pairs"])
def test_every_split_runs_and_is_named(tmp_path, split):
    process = run_train("--encoder=bow", f"--split={split}", *QUICK_RUN, "--epochs=1", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert f"synthetic, {split}:" in process.stdout
    assert ("leaks the future" in process.stdout) == (split == "random-pairs")
    rows = [line for line in process.stdout.splitlines() if line.startswith("popular in 7 days ")]
    assert len(rows) == 2 * (split == "temporal")


def test_help_teaches(tmp_path):
    process = run_script("experiments/run.py", "--help", cwd=tmp_path)
    whole = run_train("--help-all", cwd=tmp_path).stdout
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
    process = run_train("--dataset=log.csv", "--dry-run", cwd=tmp_path)
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


def test_the_protocol_has_the_log_summary(finished_run):
    folder, process = finished_run
    summary = load_summary(folder / "runs" / "synthetic-rnn-n10" / "summary.json")
    log = summary.protocol.log_summary
    assert log.users == 300 and log.items <= 100 and log.rows >= log.kept > 0
    assert f"{log.rows:,} rows in, {log.kept:,} kept" in process.stdout
