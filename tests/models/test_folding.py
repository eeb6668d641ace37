"""Item features: part of the item embeddings in training, folded into one table on export."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import nnx

from jaxrec.config.experiment import TrainConfig
from jaxrec.conversion.restore import restore_run
from jaxrec.data.data_config import DataConfig
from jaxrec.data.feature_names import feature_names
from jaxrec.data.item_features import item_features, load_item_features, save_item_features
from jaxrec.errors import UserError
from jaxrec.models.folding import append_items, fold_features
from jaxrec.models.model import PAD_BIAS
from jaxrec.runs.directory import RunDirectory
from jaxrec.runtime.bundle import read_bundle
from jaxrec.schema import ITEM, Schema
from jaxrec.training.negatives import make_sampler
from jaxrec.training.objective import Objective, loss
from tests.exports import convert, run_train
from tests.small_models import COUNTS, ITEM_GENRE, ITEM_GENRE_IDS, SIZE, make_batch, make_model

CATALOGUE = pl.DataFrame(
    {
        "item": [7, 8, 9, 5],
        "title": ["a", "b", "c", "d"],
        "genres": [["A", "B"], None, ["B"], ["B", "B"]],
        "year": [1990, 1991, None, 1990],
    }
)


def test_value_ids_are_ordered_by_frequency():
    genres, year = item_features(CATALOGUE, ["genres", "year"])
    assert genres.values == ("B", "A")
    assert genres.ids.tolist() == [[0, 0], [2, 1], [0, 0], [1, 0], [1, 0]]
    assert year.values == ("1990", "1991")
    assert year.ids.tolist() == [[0], [1], [2], [0], [1]]
    assert (genres.feature.of, genres.feature.size) == ("item", 2)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("colour", ["red"] * 4, "unknown column 'brand'; available: genres, year, colour"),
        ("brand", ["x"] * 4, "--item-features: brand is the same for all items"),
        ("brand", ["x", None, None, "x"], "--item-features: brand is the same for all items"),
        (
            "brand",
            list("wxyz"),
            "--item-features: brand is different for each of 4 items, as an id",
        ),
    ],
)
def test_invalid_feature_columns_are_rejected(name, column, message):
    with pytest.raises(UserError, match=message):
        item_features(CATALOGUE.with_columns(pl.Series(name, column)), ["brand"])


@pytest.mark.parametrize("names", ["genres,genres", "title", "item", "genres,"])
def test_invalid_feature_names_are_rejected(names):
    with pytest.raises(UserError, match=f"^--item-features={names}: .* repeated or reserved"):
        feature_names(DataConfig(item_features=names), "item")


def test_features_round_trip_through_a_file(tmp_path):
    features = item_features(CATALOGUE, ["genres", "year"])
    save_item_features(features, tmp_path / "item_features.npz")
    found = load_item_features(tmp_path / "item_features.npz", ["genres", "year"])
    for before, after in zip(features, found, strict=True):
        assert (before.name, before.values) == (after.name, after.values)
        np.testing.assert_array_equal(before.ids, after.ids)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folded_embedding_adds_the_mean_embedding_of_its_values(tied):
    model = make_model("bow", features=(ITEM_GENRE.feature,), tie_embeddings=tied)
    assert model.item_features is not None
    values = model.item_features.tables["genre"][...]
    embeddings, candidates = model.activities.tables[ITEM][...], model.item_table
    folded = fold_features(model, ITEM_GENRE_IDS)
    for before, after in (
        (embeddings, folded.activities.tables[ITEM][...]),
        (candidates, folded.item_table),
    ):
        np.testing.assert_allclose(after[3], before[3] + (values[1] + values[3]) / 2, rtol=1e-6)
        np.testing.assert_allclose(after[5], before[5] + values[2], rtol=1e-6)
        np.testing.assert_array_equal(after[jnp.array([0, 1, 4])], before[jnp.array([0, 1, 4])])
    assert folded.item_features is None


def test_an_item_without_its_own_embedding_uses_only_its_features():
    model = make_model("bow", features=(ITEM_GENRE.feature,))
    assert model.item_features is not None
    values, bias = model.item_features.tables["genre"][...], model.item_bias
    biases, start = model.item_features.biases["genre"][...], model.item_features.bias[...]
    is_kept = jnp.ones(SIZE + 1, bool).at[jnp.array([0, 3, 5, 6])].set(False)
    folded = fold_features(model, ITEM_GENRE_IDS, is_kept)
    np.testing.assert_allclose(folded.item_table[5], values[2], rtol=1e-6)
    np.testing.assert_allclose(folded.item_bias[5], start + biases[2], rtol=1e-5)
    np.testing.assert_allclose(folded.item_bias[3], start + (biases[1] + biases[3]) / 2, rtol=1e-5)
    np.testing.assert_allclose(folded.item_bias[6], start, rtol=1e-5)
    assert folded.item_bias[4] == bias[4]
    assert folded.item_bias[0] == bias[0] <= PAD_BIAS / 2


def test_appended_items_get_embedding_and_bias_from_their_features():
    ids = {
        "genre": jnp.concatenate([ITEM_GENRE_IDS["genre"], jnp.array([[2, 0], [0, 0]], jnp.int32)])
    }
    model, plain = (make_model("bow", features=(ITEM_GENRE.feature,)) for _ in range(2))
    assert model.item_features is not None
    values = model.item_features.tables["genre"][...]
    start = model.item_features.bias[...] + model.item_features.biases["genre"][2]
    appended, folded = append_items(model, ids), fold_features(plain, ITEM_GENRE_IDS)
    np.testing.assert_array_equal(appended.item_table[: SIZE + 1], folded.item_table)
    np.testing.assert_array_equal(appended.item_bias[: SIZE + 1], folded.item_bias)
    np.testing.assert_array_equal(appended.item_table[SIZE + 1], values[2])
    np.testing.assert_array_equal(appended.item_table[SIZE + 2], np.zeros(6))
    np.testing.assert_allclose(appended.item_bias[SIZE + 1], start, rtol=1e-6)


def test_gradients_reach_the_embeddings_of_feature_values():
    model = make_model("rnn", features=(ITEM_GENRE.feature,))
    graphdef, params = nnx.split(model, nnx.Param)
    batch = make_batch(2)
    batch = batch._replace(history={ITEM: batch.history[ITEM]})
    schema = Schema(SIZE, 6, (ITEM_GENRE.feature,))
    sampler = make_sampler(TrainConfig(loss="full-softmax"), COUNTS)
    objective = Objective(
        graphdef, schema, partial(loss, history_length=5), sampler, ITEM_GENRE_IDS, id_dropout=0.5
    )
    gradients = jax.jit(jax.grad(objective))(params, batch, jax.random.key(0))
    by_value = jnp.abs(gradients["item_features"]["tables"]["genre"][...]).sum(axis=1)
    assert (by_value[1:] > 0).all()
    assert by_value[0] == 0


@pytest.mark.slow
def test_an_exported_file_contains_no_item_features(tmp_path):
    """Check that the graph is the same as without features, except for the table's values."""
    flags = ["--synthetic.users=100", "--synthetic.items=120", "--embedding-dim=16"]
    flags += ["--hidden-units=16", "--epochs=1", "--encoder=bow"]
    graphs = []
    for name, more in (("plain", []), ("features", ["--item-features=genres,year"])):
        run_dir = tmp_path / name
        process = run_train(*flags, *more, f"--run-dir={run_dir}", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        process = convert(f"--run-dir={run_dir}", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        bundle = read_bundle(run_dir / "export" / "model.tflite")
        assert [*bundle.model["signatures"]["recommend"]["inputs"]] == ["history"]
        graphs.append((len(bundle.graph), bundle.model["graph"]["operators"]))
    assert graphs[0] == graphs[1]
    run = RunDirectory(tmp_path / "features")
    assert [each.name for each in run.item_features()] == ["genres", "year"]
    assert restore_run(run.path).model.item_features is None
    schema = json.loads((run.path / "schema.json").read_text())
    assert [each["of"] for each in schema["features"]] == ["item", "item"]


@pytest.mark.slow
def test_a_column_of_a_custom_item_table(tmp_path):
    log = "".join(f"{user},{(user + step) % 9},{step}\n" for user in range(40) for step in range(7))
    (tmp_path / "log.csv").write_text("user,item,timestamp\n" + log)
    rows = "".join(f"{item},Thing {item},{'xyz'[item % 3]}\n" for item in range(9))
    (tmp_path / "items.csv").write_text("item,title,brand\n" + rows)
    flags = ["--dataset=log.csv", "--items=items.csv", "--encoder=bow", "--epochs=1"]
    flags += ["--history-length=4", "--embedding-dim=8", "--hidden-units=8", "--run-dir=run"]
    process = run_train(*flags, "--item-features=brand", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    (brand,) = RunDirectory(tmp_path / "run").item_features()
    assert sorted(brand.values) == ["x", "y", "z"]
    columns = json.loads((tmp_path / "run" / "catalogue.json").read_text())
    assert columns.keys() == {"item", "title", "genres", "year"}
    process = run_train(*flags, "--item-features=colour", "--overwrite", cwd=tmp_path)
    assert process.returncode == 2
    assert "has no column 'colour'" in process.stderr and "--item-features" in process.stderr
