"""Ratings: the head that predicts them, their baselines and their metrics."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig, RatingConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.head_labels import encode_labels
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.windowing import WindowShape
from jaxrec.errors import UserError
from jaxrec.evaluation.predictions import (
    Predictor,
    biases,
    item_means,
    model_predictor,
    prediction_figures,
)
from jaxrec.models.heads.rating import RatingHead
from jaxrec.schema import ITEM, PAD, HeadSpec
from tests.bundles import make_bundle, recommender_of
from tests.small_data import log_of
from tests.small_models import SIZE, STARS, make_model


def head(values=(1.0, 2.0, 4.0)) -> RatingHead:
    return RatingHead(replace(STARS, values=values), items=5, width=3, rngs=nnx.Rngs(0))


@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3))
def test_thresholds_ascend_for_any_parameters(steps):
    rating = head((1.0, 2.0, 3.0, 4.0, 5.0))
    rating.steps[...] = jnp.array(steps)
    assert rating.thresholds.shape == (4,)
    assert (jnp.diff(rating.thresholds) >= 0).all()


def test_a_rating_by_hand():
    rating = head()
    np.testing.assert_allclose(rating.thresholds, [-0.5, 0.5], atol=1e-6)
    context, items = jnp.ones((1, 3)), jnp.array([[1.0, 0.0, 2.0]])
    taste = rating.taste(context)[0]
    number = taste[0] + 2 * taste[2] + taste[3] + 0.25
    logits = rating.logits(context, items, {"bias": jnp.array([0.25])})
    np.testing.assert_allclose(logits[0], [number + 0.5, number - 0.5], rtol=1e-5)
    # 0.4 give one star, 0.4 give two, 0.2 give four.
    np.testing.assert_allclose(rating.expected(jnp.array([[0.6, 0.2]])), [1 + 0.6 + 2 * 0.2])


def test_the_loss_of_a_rating_by_hand():
    logits = jnp.log(jnp.array([[[3.0, 1.0]] * 4]))  # P(above the first) = 3/4, P(above both) = 1/2
    losses = head().losses(logits, jnp.array([[1, 2, 3, 0]]))[0]
    expected = [np.log(4) + np.log(2), -np.log(0.75) + np.log(2), -np.log(0.75) + np.log(2), 0]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_a_model_rates_any_item_after_any_history():
    model = make_model("bow", heads=(STARS,))
    history = {ITEM: jnp.array([[0, 3, 5], [0, 0, 0]])}
    context = model.encode_last(history)
    found = model.predict("rating", context, jnp.array([[1, 2], [3, SIZE]]))
    expected, at_least = found["ratings"], found["at_least"]
    assert expected.shape == (2, 2) and at_least.shape == (2, 2, 2)
    assert (jnp.diff(at_least) <= 0).all() and (expected >= 1).all() and (expected <= 4).all()
    rating = model.heads["rating"]
    assert isinstance(rating, RatingHead)
    logits = rating.logits(context[0], model.item_table[2], rating.rows(jnp.array(2)))
    np.testing.assert_allclose(at_least[0, 1], jax.nn.sigmoid(logits), rtol=1e-5)
    given_history = {ITEM: np.asarray(history[ITEM])}
    predictor = model_predictor(*nnx.split(model, nnx.Param), "rating")
    predicted = predictor(given_history, np.zeros(2), np.array([2, 3]))
    np.testing.assert_allclose(predicted, [expected[0, 1], expected[1, 0]], rtol=1e-5)


def dataset_of(rows) -> Dataset:
    """Prepare a dataset from rows of user, item and rating, in order of time."""
    config = DataConfig(
        predict_ratings=True,
        filters=FilterConfig(min_item_interactions=1, min_user_interactions=1),
    )
    timed = [(user, item, time, rating) for time, (user, item, rating) in enumerate(rows)]
    return prepare(log_of(timed, ("user", "item", "timestamp", "rating")), config, seed=0)


ROWS: list[tuple[int, int, float | None]] = [
    (user, item, 1.0 + (user + item) % 4) for user in range(3) for item in range(6)
]
ROWS[7] = (1, 1, None)


def test_each_target_comes_with_its_rating():
    dataset = dataset_of(ROWS)
    assert dataset.heads == (HeadSpec("rating", 0.3, (1.0, 2.0, 3.0, 4.0)),)
    assert dataset.schema(4).heads == dataset.heads
    batches = TrainingBatches(
        dataset.timelines,
        dataset.split,
        WindowShape(4, 1, 2),
        labels=dataset.labels,
        catalogue_size=None,
        max_steps_per_dispatch=2,
        seed=0,
    )
    raw = dict(enumerate(dataset.vocabulary.values, start=1))
    for number in range(batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        positions = np.argwhere(batch.targets > 0)
        ratings = batch.labels["rating"]
        assert (ratings[batch.targets == 0] == 0).all()
        for position in map(tuple, positions):
            user_known = {1.0 + (u + raw[batch.targets[position]]) % 4 for u in range(3)} | {0}
            assert ratings[position] in user_known


def predictor_of(ratings: dict[tuple[int, int], float]) -> Predictor:
    return lambda history, users, items: np.array(
        [ratings[pair] for pair in zip(users.tolist(), items.tolist(), strict=True)]
    )


def test_errors_and_concordance_by_hand():
    # The last two interactions of each user are held out.
    rows = [(0, 0, 3), (0, 1, 1), (0, 2, 5), (1, 0, 3), (1, 1, 4), (1, 2, 2)]
    rows += [(2, 0, 3), (2, 1, 4), (2, 2, 4), (3, 0, 3), (3, 1, 5), (3, 2, 1)]
    dataset = dataset_of(rows)
    ids = {raw: number for number, raw in enumerate(dataset.vocabulary.values, start=1)}
    ratings = {(u, ids[i]): 3.0 for u in range(4) for i in range(3)}
    ratings |= {(0, ids[2]): 4.0, (1, ids[1]): 2.0, (3, ids[2]): 3.0}
    found = prediction_figures(predictor_of(ratings), dataset, dataset.heads[0], 3)
    # Test targets: 5, 2, 4, 1; predictions: 4, 3, 3, 3.
    assert found.means["mae"] == (1 + 1 + 1 + 2) / 4
    np.testing.assert_allclose(found.means["rmse"], np.sqrt((1 + 1 + 1 + 4) / 4))
    # User 0 is concordant, user 1 discordant, user 2 has equal ratings, user 3 equal predictions.
    assert (found.targets, found.pairs) == (4, 3)
    assert found.means["concordance"] == (1 + 0 + 0.5) / 3
    for name, mean in found.means.items():
        low, high = found.intervals[name]
        assert low <= mean <= high


def test_both_items_of_a_pair_are_rated_with_the_history_before_the_first():
    dataset, calls = dataset_of(ROWS), []

    def record(history, users, items):
        calls.extend(zip(users, items, map(tuple, history[ITEM]), strict=True))
        return np.zeros(len(items))

    prediction_figures(record, dataset, dataset.heads[0], 6)
    timelines, split = dataset.timelines, dataset.split
    for user in range(3):
        history = [items for rated_user, _, items in calls[len(split.test) :] if rated_user == user]
        before = timelines.items[timelines.offsets[user] : split.validation[user]].tolist()
        assert history == [(*[0] * (6 - len(before)), *before)] * 2


def test_baselines_learn_from_the_training_histories_alone():
    dataset = dataset_of(ROWS)
    timelines = dataset.timelines
    (head,) = dataset.heads
    changed = dataset.labels["rating"].copy()
    changed[dataset.split.test], changed[dataset.split.validation] = 1, 4
    users, items = np.array([0, 1, 2]), np.array([1, 2, 3])
    for baseline in (biases, item_means):
        predicted = baseline(dataset, head)({}, users, items)
        after_change = baseline(replace(dataset, labels={"rating": changed}), head)(
            {}, users, items
        )
        np.testing.assert_array_equal(predicted, after_change)
    first = timelines.items == 1
    learned = first & (np.arange(len(first)) < np.repeat(dataset.split.training_ends, 6))
    assert dataset.ratings is not None
    expected = np.nanmean(dataset.ratings[learned])
    assert item_means(dataset, head)({}, users, items)[0] == expected


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (
            None,
            "--predict-ratings needs a numeric rating in the log, and there is none; omit it",
        ),
        (
            ["good", "bad"],
            "needs a numeric rating in the log.* name the column with --log.rating",
        ),
        ([3.0, 3.0], "supports 2 to 32 distinct values of rating, and the log has 1, as 3;"),
        (np.arange(40.0), "supports 2 to 32 distinct values of rating, and the log has 40, as 0;"),
    ],
    ids=str,
)
def test_unusable_ratings_are_refused(ratings, message):
    log = pl.DataFrame({"user": [1]} if ratings is None else {"rating": ratings})
    with pytest.raises(UserError, match=message):
        encode_labels(log, DataConfig(predict_ratings=True).requested_heads())


def test_a_rating_weight_without_rate_is_refused():
    with pytest.raises(UserError, match=r"^--rating\.weight=2 needs --predict-ratings$"):
        load_interactions(DataConfig(rating=RatingConfig(weight=2)), seed=0)


def test_the_recommender_predicts_ratings():
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    model = make_model("rnn", heads=(STARS,))
    recommender = recommender_of(
        make_bundle(model, Shapes(2, 5, 6, 4, False), list(range(100, 100 + SIZE)))
    )
    candidates = [104, 99, 101, 100, 129, 128]
    rated = recommender.rate([103, 107], candidates)
    history = {ITEM: jnp.array([[0, 0, 0, 4, 8]])}
    ids = jnp.array([[5, PAD, 2, 1, 30, 29]])
    found = model.predict("rating", model.encode_last(history), ids)
    expected, at_least = found["ratings"], found["at_least"]
    for position, (candidate, rating) in enumerate(zip(candidates, rated, strict=True)):
        if candidate == 99:
            assert rating is None
            continue
        assert rating is not None and rating.item == candidate
        np.testing.assert_allclose(rating.expected, expected[0, position], rtol=1e-5)
        assert list(rating.at_least) == [1.0, 2.0, 4.0] and rating.at_least[1.0] == 1
        found = [rating.at_least[2.0], rating.at_least[4.0]]
        np.testing.assert_allclose(found, at_least[0, position], rtol=1e-4)
    assert recommender.rate([], []) == []
    with pytest.raises(
        UserError, match="the model predicts no ratings; train a run with --predict-ratings"
    ):
        recommender_of(
            make_bundle(make_model("bow"), Shapes(1, 5, 6, 4, False), list(range(SIZE)))
        ).rate([], [1])
