"""Features of activities and users, and time gaps, from the log to the model file."""

import json
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from flax import nnx

from jaxrec.cli import verify
from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.restore import restore_run
from jaxrec.data.sources.synthetic import synthetic_world
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import DeviceModel
from jaxrec.schema import AGE, ITEM, UNKNOWN_AGE
from jaxrec.training import loop
from tests.exports import call, convert, run_train

pytest.importorskip("tensorflow", reason="needs the extra convert")

# It trains runs with every kind of feature.
pytestmark = pytest.mark.slow

LENGTH = 5
FLAGS = [
    "--dataset=log.csv",
    "--encoder=rnn",
    "--activity-features=rating,price",
    "--users=users.csv",
    "--user-features=favourite,income",
    "--time-gaps",
    f"--history-length={LENGTH}",
    "--embedding-dim=8",
    "--hidden-units=16",
    "--epochs=2",
    "--learning-rate=0.02",
]


def write_world(folder: Path) -> None:
    """Write a log with missing ratings, prices and times in milliseconds, and a user table."""
    world = synthetic_world(users=120, items=40)
    rng = np.random.default_rng(0)
    prices = rng.lognormal(2, 1, world.log.height).round(2)
    known = pl.Series(rng.random(world.log.height) < 0.9)
    log = world.log.with_columns(
        pl.when(known).then("rating"),
        pl.col("timestamp") * 1000,
        price=pl.when(~known).then(pl.Series(prices)).otherwise(0.0),
    )
    log.write_csv(folder / "log.csv")
    assert world.users is not None
    incomes = pl.Series(rng.lognormal(8, 1, 120).round(2))
    users = world.users.with_columns(income=pl.when(incomes > 1000).then(incomes))
    users.sample(fraction=1, shuffle=True, seed=0).write_csv(folder / "users.csv")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """Return a trained and converted run, which tests must not change."""
    folder = tmp_path_factory.mktemp("features")
    write_world(folder)
    process = run_train(*FLAGS, "--run-dir=run", cwd=folder)
    assert process.returncode == 0, process.stderr
    process = convert("--run-dir=run", cwd=folder)
    assert process.returncode == 0, process.stderr
    return RunDirectory(folder / "run")


def test_the_summary_has_notes_on_the_features(run):
    notes = run.summary().protocol.log_summary.notes
    assert any(note.startswith("rating: 5 numbers, unknown for ") for note in notes)
    assert any(note.startswith("price: ") and "buckets of numbers" in note for note in notes)
    assert "--time-gaps: times are read as milliseconds" in notes


def test_a_model_with_features_cannot_be_exported_with_an_adapter(run):
    process = convert("--run-dir=run", "--adapt", "--export-dir=out", cwd=run.path.parent)
    assert process.returncode == 2
    assert "has features of activities or users, which --adapt does not" in process.stderr
    assert not (run.path.parent / "out").exists()


def test_the_file_describes_its_inputs(run):
    model = read_bundle(run.model_file).model
    rating, price, age, favourite, income = model["features"]
    assert rating == {
        "name": "rating",
        "of": "activity",
        "kind": "id",
        "values": [1, 2, 3, 4, 5],
        "unknown": 0,
    }
    assert (price["of"], price["kind"], price["unknown"]) == ("activity", "number", None)
    assert price["values"] == sorted(price["values"])
    # Nine tenths of the prices are 0.
    assert 1 <= len(price["values"]) < 15
    assert age == {"name": AGE, "of": "activity", "kind": "age", "values": [], "unknown": -1}
    assert (favourite["name"], favourite["of"], favourite["kind"], favourite["unknown"]) == (
        ("user_favourite", "user", "id", 0)
    )
    assert "Drama" in favourite["values"]
    assert (income["name"], income["kind"], len(income["values"])) == ("user_income", "number", 15)
    expected = {
        "history": {"dtype": "int32", "shape": [1, LENGTH]},
        "rating": {"dtype": "int32", "shape": [1, LENGTH]},
        "price": {"dtype": "float32", "shape": [1, LENGTH]},
        "age": {"dtype": "int32", "shape": [1, LENGTH]},
        "user_favourite": {"dtype": "int32", "shape": [1]},
        "user_income": {"dtype": "float32", "shape": [1]},
    }
    for name, more in (("recommend", set()), ("encode", set()), ("score", {"candidates"})):
        inputs = model["signatures"][name]["inputs"]
        assert inputs.keys() == expected.keys() | more
        assert {port: inputs[port] for port in expected} == expected
    written = json.loads((run.model_file.parent / "model.json").read_text())
    assert written["features"] == model["features"]


def test_held_out_histories_have_the_inputs_of_the_file(run):
    heldout = run.heldout().history
    assert {name: (rows.dtype.name, rows.shape) for name, rows in heldout.items()} == {
        ITEM: ("int32", (120, LENGTH)),
        "rating": ("int32", (120, LENGTH)),
        "price": ("float32", (120, LENGTH)),
        AGE: ("int32", (120, LENGTH)),
        "user_favourite": ("int32", (120,)),
        "user_income": ("float32", (120,)),
    }
    valid = heldout[ITEM] > 0
    ages = heldout[AGE]
    assert (ages[~valid] == UNKNOWN_AGE).all()
    assert (ages[valid] >= 0).all()
    assert (np.diff(ages, axis=1)[valid[:, :-1]] <= 0).all()
    assert not np.isnan(heldout["price"][valid]).any()
    assert np.isnan(heldout["user_income"]).any()


def test_the_export_verifies_again(run):
    process = call(verify.main, f"--model={run.model_file}", cwd=run.path)
    assert process.returncode == 0, process.stderr
    assert "float32, equal on " in process.stdout


def test_every_feature_changes_the_queries_of_the_file(run):
    inputs = as_inputs(run.heldout().history)
    device = DeviceModel(read_bundle(run.model_file).graph)
    queries = device.encode_all(inputs)
    for feature in restore_run(run.path).model.features:
        given = inputs[feature.name]
        unknown = np.full_like(given, feature.unknown)
        moved = np.abs(device.encode_all(inputs | {feature.name: unknown}) - queries).max(axis=1)
        assert (moved > 1e-4).mean() > 0.5, feature.name


def test_an_interrupted_run_ends_with_the_same_bits(run, tmp_path, monkeypatch):
    write_world(tmp_path)
    original, calls = loop.save, []

    def save_and_interrupt(*arguments):
        original(*arguments)
        calls.append(arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save", save_and_interrupt)
        assert run_train(*FLAGS, "--run-dir=run", cwd=tmp_path).returncode == 130
    assert len(calls) == 1
    process = run_train(*FLAGS, "--run-dir=run", "--resume", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    ours, theirs = restore_run(run.path), restore_run(tmp_path / "run")
    assert ours.summary.test == theirs.summary.test
    leaves = (jax.tree.leaves(nnx.state(each.model, nnx.Param)) for each in (ours, theirs))
    for left, right in zip(*leaves, strict=True):
        np.testing.assert_array_equal(left, right)
