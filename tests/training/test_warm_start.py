"""Warm starts: ids that are kept, the model before its first step, and runs that do not fit."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.conversion.restore import restore_run
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.errors import UserError
from jaxrec.models.folding import fold_features
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import ITEM
from jaxrec.training.defaults import teacher_weight
from jaxrec.training.distillation import read_teachers
from jaxrec.training.fit import fit, init_model
from jaxrec.training.warm_start import continue_model, known_ids
from tests.training.shop_logs import (
    FEATURES,
    PLAIN,
    TODAY,
    YESTERDAY,
    dataset_of_shop,
    model_of,
    shop_log,
    starting_from,
    train_yesterday,
)

FEATURED = replace(PLAIN, data=FEATURES)


@pytest.fixture(scope="module")
def featured(tmp_path_factory) -> RunDirectory:
    """Return a run on yesterday's log, with features of all kinds and ratings."""
    return train_yesterday(tmp_path_factory.mktemp("featured") / "run", FEATURED)


def today(run, config, tmp_path, **log) -> tuple[Dataset, Any]:
    """Return today's data set with the ids of a run, and its model before the first step."""
    config = starting_from(run, config)
    known = known_ids(config, RunDirectory(tmp_path / "today"))
    dataset = dataset_of_shop(config, shop_log(TODAY, seed=1, **log), known)
    return dataset, continue_model(init_model(dataset, config), dataset, run)


def test_items_keep_their_ids_and_new_ones_stand_behind(plain, tmp_path):
    dataset, _ = today(plain, PLAIN, tmp_path)
    values, known = dataset.vocabulary.values.to_list(), plain.vocabulary().values.to_list()
    assert values[: len(known)] == known
    new = values[len(known) :]
    assert sorted(new) == [f"sku{item}" for item in range(33, 41)]
    counts = dataset.vocabulary.counts
    assert all(counts[1 + values.index(f"sku{item}")] == 0 for item in range(4))
    # The new items are ordered by their counts.
    of_new = counts[1 + len(known) :]
    assert list(of_new) == sorted(of_new, reverse=True) and of_new[0] > of_new[-1]


def test_items_that_have_left_keep_their_titles(plain, tmp_path):
    dataset, _ = today(plain, PLAIN, tmp_path)
    titles = dict(dataset.catalogue.select("item", "title").iter_rows())
    assert titles["sku2"] == "Shirt 2" and titles["sku40"] == "Shirt 40"
    assert dataset.catalogue["item"].equals(dataset.vocabulary.values)


def test_forgotten_items_leave_and_the_others_keep_their_order(plain, tmp_path):
    config = starting_from(plain, forget_items=True)
    known = known_ids(config, RunDirectory(tmp_path / "today"))
    dataset = dataset_of_shop(config, shop_log(TODAY, seed=1), known)
    values, gone = dataset.vocabulary.values.to_list(), {"sku0", "sku1", "sku2", "sku3"}
    kept = [each for each in plain.vocabulary().values if each not in gone]
    assert values[: len(kept)] == kept
    assert not gone & set(values)
    model, old = continue_model(init_model(dataset, config), dataset, plain), model_of(plain)
    old_ids = plain.vocabulary().encode(dataset.vocabulary.values[: len(kept)])
    np.testing.assert_array_equal(model.item_table[1 : len(kept) + 1], old.item_table[old_ids])
    np.testing.assert_array_equal(model.item_bias[1 : len(kept) + 1], old.item_bias[old_ids])


@pytest.mark.parametrize("kind", ["plain", pytest.param("featured", marks=pytest.mark.slow)])
def test_before_its_first_step_the_model_scores_known_items_as_the_earlier_run(
    kind, tmp_path, request
):
    run = request.getfixturevalue(kind)
    config = PLAIN if kind == "plain" else FEATURED
    dataset, model = today(run, config, tmp_path)
    old = fold_features(model_of(run), ids_by_name(run.item_features()))
    heldout, count = run.heldout(), run.vocabulary().size + 1
    history = {name: jnp.asarray(ids) for name, ids in histories_of(run, config).items()}
    query = old.encode_last(history)
    model = fold_features(model, ids_by_name(dataset.item_features))
    np.testing.assert_array_equal(model.encode_last(history), query)
    # Of as many items: a product with more of them may round differently.
    scores = query @ model.item_table[:count].T + model.item_bias[:count]
    np.testing.assert_array_equal(scores, old.scores(query))
    np.testing.assert_allclose(model.scores(query)[:, :count], scores, rtol=1e-5, atol=1e-5)
    items = jnp.asarray(heldout.history[ITEM])
    for head in old.heads:
        for name, values in old.predict(head, query, items).items():
            np.testing.assert_array_equal(model.predict(head, query, items)[name], values)


def histories_of(run, config):
    """Return the histories of yesterday's test targets, as the model takes them."""
    dataset = dataset_of_shop(config, shop_log(YESTERDAY))
    return dataset.timelines.histories(dataset.split.test, config.data.history_length)


def test_a_new_item_starts_with_the_zero_vector_and_the_log_of_its_popularity(plain, tmp_path):
    dataset, model = today(plain, PLAIN, tmp_path)
    new = slice(plain.vocabulary().size + 1, None)
    assert not np.any(model.item_table[new])
    counts = dataset.vocabulary.counts
    expected = np.log((counts + 1) / (counts + 1).sum())[new]
    np.testing.assert_allclose(model.item_bias[new], expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_a_new_item_starts_with_the_vector_and_the_bias_of_its_features(featured, tmp_path, tied):
    run, config = featured, FEATURED
    if not tied:
        config = replace(FEATURED, model=replace(FEATURED.model, tie_embeddings=False))
        run = train_yesterday(tmp_path / "untied", config)
    dataset, model = today(run, config, tmp_path, brands=4)
    values, (brand,) = dataset.vocabulary.values.to_list(), dataset.item_features
    old = model_of(run)
    biases, model = model.item_bias, fold_features(model, ids_by_name((brand,)))
    tables = [model.item_table, model.activities.tables[ITEM][...]]
    for item in (33, 35, 40):  # of brands 1, 3 and 0; brand 3 is new
        number, value = 1 + values.index(f"sku{item}"), f"brand{item % 4}"
        known = run.item_features()[0].values
        row = known.index(value) + 1 if value in known else None
        vector = old.item_features.tables["brand"][row] if row else np.zeros(6)
        bias = old.item_features.bias[...] + (old.item_features.biases["brand"][row] if row else 0)
        for table in tables:
            np.testing.assert_array_equal(table[number], vector)
        np.testing.assert_allclose(biases[number], bias, rtol=1e-6)


@pytest.mark.slow
def test_a_new_value_starts_as_an_unknown_one(featured, tmp_path):
    dataset, model = today(
        featured, FEATURED, tmp_path, devices=("web", "tv"), countries=("it", "fr")
    )
    sizes = {each.name: each.size for each in dataset.features}
    device = model.activities.tables["device"][...]
    country = model.context_features.tables["user_country"][...]
    assert sizes["device"] == 3 and sizes["user_country"] == 3
    np.testing.assert_array_equal(device[3], device[0])
    np.testing.assert_array_equal(country[3], country[0])
    old = model_of(featured)
    np.testing.assert_array_equal(device[:3], old.activities.tables["device"][...])


@pytest.mark.slow
def test_a_head_with_another_label_keeps_what_fits(featured, tmp_path):
    dataset, model = today(featured, FEATURED, tmp_path, ratings=5)
    old, size = model_of(featured), featured.vocabulary().size + 1
    assert [head.values for head in dataset.heads] == [(1.0, 2.0, 3.0, 4.0, 5.0)]
    assert model.rating.thresholds.shape == (4,)
    np.testing.assert_array_equal(model.rating.taste.kernel[...], old.rating.taste.kernel[...])
    np.testing.assert_array_equal(model.rating.bias[:size], old.rating.bias[...])
    assert not np.any(model.rating.bias[size:])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "rowwise-adagrad"])
def test_a_run_learns_new_items_taught_by_the_run_that_it_starts_from(
    featured, tmp_path, optimizer
):
    config = starting_from(
        featured, FEATURED, table_optimizer=optimizer, teacher=str(featured.path), epochs=9
    )
    directory = RunDirectory(tmp_path / "today")
    known = known_ids(config, directory)
    dataset = dataset_of_shop(config, shop_log(TODAY, seed=1), known)
    summary = fit(dataset, config, directory)
    assert summary and summary.train.epochs == 3  # a third
    model, new = model_of(directory), featured.vocabulary().size + 1
    assert np.all(np.any(np.asarray(model.item_table[new:]) != 0, axis=1))
    restored = restore_run(directory.path)
    titles = dict(restored.catalogue.select("item", "title").iter_rows())
    assert titles["sku2"] == "Shirt 2" and titles["sku40"] == "Shirt 40"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"encoder": "cnn"}}, "--encoder: bow, not cnn"),
        ({"model": {"hidden_units": 9, "embedding_dim": 5}}, "--embedding-dim: 6, not 5; --hidden"),
        ({"model": {"tie_embeddings": False}}, "--tie-embeddings: True, not False"),
        ({"data": {"item_features": "genres"}}, "--item-features: None, not genres"),
        ({"data": {"predict_ratings": True}}, "--predict-ratings: False, not True"),
        ({"data": {"split": "temporal"}}, "--split: leave-one-out, not temporal"),
        ({"data": {"train_on_validation": True}}, "--train-on-validation: False, not True"),
        ({"data": {"split": "random-pairs"}}, "--split=random-pairs exclude each other"),
    ],
    ids=str,
)
def test_a_run_that_does_not_fit_is_refused_with_both_values(plain, tmp_path, change, told):
    config = starting_from(plain)
    for part, settings in change.items():
        config = replace(config, **{part: replace(getattr(config, part), **settings)})
    with pytest.raises(UserError, match=f"{told}.*give"):
        known_ids(config, RunDirectory(tmp_path))


def test_settings_without_influence_on_shapes_may_differ(plain, tmp_path):
    config = starting_from(plain, seed=3, loss="sampled-softmax", weight_decay=0.0)
    data = replace(config.data, history_length=7, keep_seen=False, dataset="tuesday.csv")
    model = replace(config.model, dropout=0.3)
    config = replace(config, data=data, model=model)
    assert known_ids(config, RunDirectory(tmp_path)).vocabulary.size == 30


def test_an_earlier_run_that_is_missing_is_refused(tmp_path):
    config = replace(PLAIN, train=replace(PLAIN.train, from_run=str(tmp_path / "away")))
    with pytest.raises(UserError, match=r"--from-run=.*away is not a finished run; train it"):
        known_ids(config, RunDirectory(tmp_path / "run"))


def test_forgotten_items_need_an_earlier_run(tmp_path):
    config = replace(PLAIN, train=replace(PLAIN.train, forget_items=True))
    with pytest.raises(UserError, match="--forget-items=True needs --from-run"):
        known_ids(config, RunDirectory(tmp_path))


def test_the_earlier_run_is_the_teacher_unless_another_is_given(plain, tmp_path, capsys):
    dataset, _ = today(plain, PLAIN, tmp_path)
    config = starting_from(plain)
    (teacher,) = read_teachers(config, dataset)
    known = plain.vocabulary().size
    assert f"--from-run={plain.path} knows {known} of {known + 8} items" in capsys.readouterr().out
    table = model_of(plain).item_table
    np.testing.assert_array_equal(teacher.model.item_table[: known + 1], table)
    np.testing.assert_array_equal(teacher.is_known_R, np.arange(known + 9) <= known)
    assert teacher_weight(config.train) == 0.25

    both = starting_from(plain, teacher=f"{plain.path},{plain.path}")
    assert len(read_teachers(both, dataset)) == 2
    assert teacher_weight(both.train) == 0.5
    assert read_teachers(starting_from(plain, teacher_weight=0.0), dataset) == []
    assert teacher_weight(starting_from(plain, teacher_weight=0.7).train) == 0.7
