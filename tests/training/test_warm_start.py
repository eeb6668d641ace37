"""Warm starts: ids that are kept, the model before its first step, and runs that do not fit."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.data.item_features import ids_by_name
from jaxrec.models.folding import fold_features
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import ITEM
from jaxrec.training.checkpoint import read_model
from jaxrec.training.fit import init_model
from jaxrec.training.warm_start import continue_model, known_ids
from tests.training.shop_logs import (
    FEATURES,
    PLAIN,
    TODAY,
    YESTERDAY,
    dataset_of_shop,
    shop_log,
    train_yesterday,
)

FEATURED = replace(PLAIN, data=FEATURES)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> RunDirectory:
    """Return a run on yesterday's log, without features; tests must not change it."""
    return train_yesterday(tmp_path_factory.mktemp("plain") / "run", PLAIN)


@pytest.fixture(scope="module")
def featured(tmp_path_factory) -> RunDirectory:
    """Return a run on yesterday's log, with features of all kinds and ratings."""
    return train_yesterday(tmp_path_factory.mktemp("featured") / "run", FEATURED)


def starting_from(run: RunDirectory, config=PLAIN, **settings):
    return replace(config, train=replace(config.train, from_run=str(run.path), **settings))


def today(run, config, tmp_path, **log):
    """Return today's data set with the ids of a run, and its model before the first step."""
    config = starting_from(run, config)
    known = known_ids(config, RunDirectory(tmp_path / "today"))
    dataset = dataset_of_shop(config, shop_log(TODAY, seed=1, **log), known)
    return dataset, continue_model(init_model(dataset, config), dataset, run)


def model_of(run: RunDirectory):
    return read_model(run.checkpoints, run.schema(), run.config().model)


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


@pytest.mark.parametrize("kind", ["plain", "featured"])
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
