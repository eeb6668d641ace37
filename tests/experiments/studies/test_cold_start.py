"""The cold-start study: held-out items, baselines, and the boost of new items."""

import numpy as np
import polars as pl
import pytest

from experiments.studies.cold_start import cold_start
from experiments.studies.cold_start.cold_start import (
    boosted,
    features_of_the_history,
    popularity_of_features,
    set_up,
    validation_histories,
)
from jaxrec.config.experiment import Config
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.item_features import ItemFeature
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.schema import ITEM
from tests.exports import call

CONFIG = DataConfig(synthetic=SyntheticConfig(users=120, items=60), item_features="genres,year")


def test_new_items_have_the_last_ids_and_occur_in_no_history():
    interactions = load_interactions(CONFIG, seed=0)
    whole = prepare(interactions, CONFIG, seed=0)
    new = whole.vocabulary.values.gather([3, 11, 20])
    log = interactions.log
    kept = log.filter(~log["item"].is_in(new.implode()))
    old = prepare(type(interactions)(kept, interactions.items), CONFIG, seed=0)
    trial = set_up(whole, old, new)
    size = old.vocabulary.size
    values = trial.dataset.vocabulary.values.to_list()
    assert values == [*old.vocabulary.values, *new]
    # The same log, under other item ids.
    timelines = trial.dataset.timelines
    assert [values[i - 1] for i in timelines.items] == [
        whole.vocabulary.values[i - 1] for i in whole.timelines.items.tolist()
    ]
    assert len(trial.positions) and (timelines.items[trial.positions] > size).all()
    assert len(set(timelines.users_of(trial.positions))) == len(trial.positions)
    histories = timelines.histories(trial.positions, 50)[ITEM]
    assert (histories <= size).all() and (histories > 0).any(axis=1).all()
    assert trial.counts[size + 1 :].tolist() == [0, 0, 0]
    for feature, before in zip(trial.features, old.item_features, strict=True):
        assert len(feature.ids) == len(values) + 1
        np.testing.assert_array_equal(feature.ids[: size + 1], before.ids)


# Values of items 1 to 4: A and B, A, B, none.
KIND_FEATURE = ItemFeature(
    "kind", ("A", "B"), np.array([[0, 0], [1, 2], [1, 0], [2, 0], [0, 0]], np.int32)
)


def test_baselines_match_values_computed_by_hand():
    by_history = features_of_the_history([KIND_FEATURE])
    np.testing.assert_allclose(
        materialize_scores(by_history({ITEM: np.array([[0, 2, 2], [1, 3, 4]], np.int32)})),
        [[0, 1, 2, 0, 0], [0, 1, 0.5, 1.5, 0]],
    )
    # A: half of item 1 and all of item 2, (10 / 2 + 4) / 1.5. B: 10 / 2 over max(0.5, 1), since
    # item 3 has no interactions.
    popular = popularity_of_features([KIND_FEATURE], np.array([0, 10, 4, 0, 0]))
    scores = materialize_scores(popular({ITEM: np.zeros((2, 3), np.int32)}))
    np.testing.assert_allclose(scores[0], [0, (6 + 5) / 2, 6, 5, 0])
    np.testing.assert_array_equal(scores[0], scores[1])


def test_the_boost_is_found_on_validation_targets_that_are_not_new():
    interactions = load_interactions(CONFIG, seed=0)
    whole = prepare(interactions, CONFIG, seed=0)
    new = whole.vocabulary.values.gather(list(range(40, 60)))
    kept = interactions.log.filter(~pl.col("item").is_in(new.implode()))
    old = prepare(type(interactions)(kept, interactions.items), CONFIG, seed=0)
    trial = set_up(whole, old, new)
    items, validation = trial.dataset.timelines.items, trial.dataset.split.validation
    others = [at for at in validation if items[at] <= trial.old]
    assert 0 < len(others) < len(validation)
    found = validation_histories(trial, Config(CONFIG))
    assert found.target.tolist() == items[others].tolist()
    expected = trial.dataset.timelines.histories(np.array(others), CONFIG.history_length)
    np.testing.assert_array_equal(found.history[ITEM], expected[ITEM])


def test_a_boost_is_added_to_the_scores_of_new_items_alone():
    raised = boosted(lambda history: np.ones((len(history[ITEM]), 6), np.float32), 3, 2.0)
    assert np.asarray(raised({ITEM: np.zeros((1, 2), np.int32)})).tolist() == [[1, 1, 1, 1, 3, 3]]


@pytest.mark.slow
def test_the_study_prints_a_table_and_writes_no_files(tmp_path):
    flags = ["--synthetic.users=200", "--synthetic.items=80", "--epochs=1", "--embedding-dim=8"]
    flags += ["--hidden-units=8", "--encoder=bow"]
    process = call(cold_start.main, *flags, "--item-features=genres,year", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    for name in ("bow", "features of the history", "popularity of features", "chance"):
        assert sum(line.startswith(name + " ") for line in lines) == 1
    assert list(tmp_path.iterdir()) == []
    process = call(cold_start.main, *flags, cwd=tmp_path)
    assert process.returncode == 2 and "give --item-features" in process.stderr
    assert sum(line.startswith("bow, new items + ") for line in lines) == 1
    flags += ["--item-features=genres", "--held-out-share=1"]
    process = call(cold_start.main, *flags, cwd=tmp_path)
    assert process.returncode == 2 and "--held-out-share=1.0 is out of range" in process.stderr
