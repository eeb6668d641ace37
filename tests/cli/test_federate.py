"""The command `federate`: its run directory, resuming, and one-line errors."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import polars as pl
import pytest
import tomli_w
from flax import nnx

from jaxrec.cli import compare, federate
from jaxrec.federated import record, rounds
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import open_checkpoints, read_model
from jaxrec.training.sparse_rows import ITEM_TABLES
from jaxrec.training.step import name_of
from tests.exports import call, convert, run_train

SMALL = ["--encoder=bow", "--embedding-dim=8", "--hidden-units=8", "--epochs=1"]
SMALL += ["--synthetic.users=120", "--synthetic.items=40", "--batch-size=16"]
ROUNDS = ["--rounds=5", "--clients=30", "--local-steps=2"]
ROUNDS += ["--server-optimizer=fedadam", "--noise-multiplier=0.5"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("federated")
    process = run_train(*SMALL, "--run-dir=run", cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(autouse=True, scope="module")
def frequent_checkpoints():
    """Save a checkpoint after every second round."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rounds, "ROUNDS_PER_CHECKPOINT", 2)
        yield


@pytest.fixture(scope="module")
def federated(trained):
    """Run five rounds; return the new run directory and the command's output."""
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    process = run_federate(trained, *ROUNDS)
    assert process.returncode == 0, process.stderr
    return trained / "run-federated", process.stdout


def run_federate(folder: Path, *flags: str):
    return call(federate.main, "--run-dir=run", *flags, cwd=folder)


def parameters_of(run_dir: Path) -> dict[str, np.ndarray]:
    run = RunDirectory(run_dir)
    model = read_model(run.checkpoints, run.schema(), run.config().model)
    params = nnx.split(model, nnx.Param)[1]
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)}


def saved_progress(run: RunDirectory) -> dict[str, Any]:
    with open_checkpoints(run.checkpoints, read_only=True) as manager:
        items = ocp.args.Composite(progress=ocp.args.JsonRestore())
        return manager.restore(manager.latest_step(), args=items)["progress"]


def test_a_federated_run_is_a_complete_run_directory(trained, federated):
    out, output = federated
    assert "120 clients; 30 per round on average" in output and "epsilon = " in output
    assert "before the first round: validation recall@10" in output and "after - before" in output
    run = RunDirectory(out)
    assert [line["epoch"] for line in run.metrics(5)] == [2, 4, 5]
    assert run.summary().train.steps == 5 and "transitions" in run.summary().baselines
    assert saved_progress(run)["best_score"] == run.metrics(5)[-1]["validation"]["ndcg@10"]
    privacy = json.loads((out / "federated.json").read_text())["privacy"]
    assert privacy["noise_multiplier"] == 0.5 and privacy["participation"] == 0.25

    before, after = parameters_of(trained / "run"), parameters_of(out)
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert moved == set(before) - set(ITEM_TABLES)

    process = call(compare.main, str(out), "run", cwd=trained)
    assert process.returncode == 0, process.stderr
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    process = convert(f"--run-dir={out}", cwd=trained)
    assert process.returncode == 0, process.stderr
    assert (out / "export" / "model.tflite").is_file()


def test_a_killed_run_resumes_to_the_same_bits(trained, federated, monkeypatch):
    def stopped(path, value):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(record, "write_json", stopped)
        process = run_federate(trained, *ROUNDS, "--out=killed")
    # Interrupted before the first round: nothing is left.
    assert process.returncode == 130
    assert not [path for path in trained.iterdir() if "killed" in path.name]

    write = RunDirectory.write_metrics

    def killed(self, lines):
        write(self, lines)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "write_metrics", killed)
        process = run_federate(trained, *ROUNDS, "--out=killed")
    assert process.returncode == 130 and not (trained / "killed" / "summary.json").exists()
    for changed, message in (
        ("--rounds=6", "--rounds: 5, not 6"),
        ("--seed=1", "--seed: 0, not 1"),
        ("--noise-multiplier=0.6", "--noise-multiplier: 0.5, not 0.6"),
    ):
        process = run_federate(trained, *ROUNDS, "--out=killed", "--resume", changed)
        assert process.returncode == 2 and message in process.stderr
    process = run_federate(trained, *ROUNDS, "--out=killed", "--resume")
    assert process.returncode == 0, process.stderr
    ours, theirs = parameters_of(trained / "killed"), parameters_of(federated[0])
    assert {n: leaf.tobytes() for n, leaf in ours.items()} == {
        n: leaf.tobytes() for n, leaf in theirs.items()
    }
    process = run_federate(trained, *ROUNDS, "--out=killed", "--resume")
    assert process.returncode == 0 and "killed is finished" in process.stdout


@pytest.mark.slow
def test_a_log_of_other_users_is_encoded_with_the_ids_of_the_run(trained):
    catalogue = RunDirectory(trained / "run").catalogue()["item"].to_list()
    rng = np.random.default_rng(0)
    rows = [(u, i, t) for u in range(20) for t, i in enumerate(rng.choice(catalogue, 8).tolist())]
    rows += [(u, 10_000 + u, 9) for u in range(20)]
    log = pl.DataFrame(rows, schema=["who", "item", "timestamp"], orient="row")
    log.write_csv(trained / "others.csv")
    flags = ["--dataset=others.csv", "--log.user=who", "--rounds=1", "--clients=20"]
    flags += ["--server-learning-rate=0.5"]
    process = run_federate(trained, *flags, "--out=taught")
    assert process.returncode == 0, process.stderr
    assert "dropped: 20 by the vocabulary of the run" in process.stdout
    assert "20 items are unknown to the run" in process.stdout
    taught, source = RunDirectory(trained / "taught"), RunDirectory(trained / "run")
    for name in ("vocabulary.json", "schema.json"):
        assert (taught.path / name).read_bytes() == (source.path / name).read_bytes()
    assert taught.catalogue().equals(source.catalogue())
    protocol = taught.summary().protocol
    assert (protocol.dataset, protocol.test_users) == ("others", 20)
    assert set(taught.heldout().target.tolist()) <= set(range(1, len(catalogue) + 1))


def copy_of(run_dir: Path, target: Path, file: str, **changes) -> Path:
    """Copy a run with changed fields in one of its files."""
    shutil.copytree(run_dir, target)
    read, write = (
        (tomllib.loads, tomli_w.dumps) if file == "config.toml" else (json.loads, json.dumps)
    )
    saved = read((target / file).read_text())
    (target / file).write_text(write({**saved, **changes}))
    return target


def assert_refused(folder: Path, flags: list[str], message: str) -> None:
    before = sorted(folder.iterdir())
    process = run_federate(folder, "--out=never", *flags)
    assert process.returncode == 2, (flags, process.stdout, process.stderr)
    assert process.stderr.count("\n") == 1 and message in process.stderr, process.stderr
    assert sorted(folder.iterdir()) == before


def test_an_epsilon_out_of_reach_is_one_line_and_leaves_nothing(trained):
    pytest.importorskip("dp_accounting", reason="needs the extra federated")
    message = "--epsilon=0.01 cannot be reached"
    assert_refused(trained, ["--epsilon=0.01", "--clients=100"], message)


def test_each_refusal_is_one_line_and_leaves_nothing(trained, tmp_path):
    weighted = copy_of(
        trained / "run", tmp_path / "weighted", "config.toml", **{"target-weight": "rating"}
    )
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained / "run", unfinished)
    (unfinished / "summary.json").unlink()
    feature = {"name": "hour", "of": "moment", "kind": "id", "size": 24}
    features = copy_of(trained / "run", tmp_path / "told", "schema.json", features=[feature])
    (tmp_path / "strange.csv").write_text("user,item,timestamp\na,nothing,1\n")
    for flags, message in (
        ([f"--run-dir={unfinished}"], "is not finished; finish it with --resume"),
        ([f"--run-dir={tmp_path}"], "is not a run directory"),
        ([f"--run-dir={weighted}"], "cannot be federated: it has target weights"),
        ([f"--run-dir={features}"], "cannot be federated: it has features"),
        (["--clients=121"], "--clients=121 is more than the 120 users"),
        (["--shared-parameters=all"], "--shared-parameters=all sends the item table"),
        (["--epsilon=1", "--noise-multiplier=1"], "omit one of them"),
        (["--delta=0.001"], "--delta=0.001 needs --noise-multiplier"),
        (["--clip-norm=nan"], "--clip-norm=nan is out of range"),
        (["--out=run"], "--out=run is the run that is continued"),
        (["--log.user=who"], "--log.user=who needs --dataset"),
        (["--out=run/checkpoints"], "--out=run/checkpoints contains other files and no run"),
        ([f"--dataset={tmp_path / 'strange.csv'}"], "the run has none of the items of the log"),
        (["--dataset=nowhere.csv"], "nowhere.csv is not a file"),
    ):
        assert_refused(trained, flags, message)
