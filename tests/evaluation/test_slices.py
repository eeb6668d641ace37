"""Slices of the test targets: their weights and their metrics, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.rating_scale import RatingScale, rating_scale
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values
from jaxrec.evaluation.ranking import mask_moment
from jaxrec.evaluation.slices import GRADED, LATER, metrics_in, slices
from jaxrec.schema import AGE, ITEM
from tests.small_data import data_config, log_of


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([1, 2, 3, 4, 5], RatingScale(1, 5, 4)),
        ([5, 1], RatingScale(1, 5, 5)),
        (np.arange(1, 11) / 2, RatingScale(0.5, 5, 4)),
        (range(1, 11), RatingScale(1, 10, 8)),
        ([0, 1], RatingScale(0, 1, 1)),
        ([-10, 10, 4.9, 5.5], RatingScale(-10, 10, 5.5)),
        ([3, np.nan, 1, np.inf], RatingScale(1, 3, 3)),
        ([3, 3, np.nan], None),
        ([np.nan], None),
        (None, None),
    ],
)
def test_the_rating_scale_is_inferred_from_the_ratings(ratings, scale):
    found = None if ratings is None else np.array(ratings, np.float32)
    assert rating_scale(found) == scale


def test_grades_run_from_0_to_4():
    grades = RatingScale(1, 5, 4).grades(np.array([1, 2, 5, np.nan], np.float32))
    np.testing.assert_array_equal(grades, [0, 1, 4, np.nan])
    assert RatingScale(0.5, 5, 4).grades(np.array([2.75], np.float32)).tolist() == [2]


COLUMNS = ("user", "item", "timestamp", "rating")
# The last interaction of each user is the test target.
ROWS = [
    *[("a", 1, 0, 2.0), ("a", 2, 5, 2.0), ("a", 3, 65, 5.0)],
    *[("b", 1, 0, 1.0), ("b", 2, 10, 3.0), ("b", 3, 69, 4.0)],
    *[("c", 1, 0, 1.0), ("c", 2, 10, 3.0), ("c", 3, 9999, 1.0)],
]


def dataset_of(rows=ROWS, columns=COLUMNS, ticks: int | None = 1, **config: Any) -> Dataset:
    log = replace(log_of(rows, columns), ticks_per_second=ticks)
    return prepare(log, data_config(**config), seed=0)


def slices_of(dataset: Dataset) -> dict[str, list[float]]:
    return {k: each.tolist() for k, each in slices(dataset, dataset.split.test).items()}


def test_slices_by_hand():
    # Gains of 2^4 - 1, 2^3 - 1 and 0. Time gaps before the targets: 60, 59 and 9989 seconds.
    assert slices_of(dataset_of()) == {
        GRADED: [15, 7, 0],
        "rated >= 4": [1, 1, 0],
        LATER: [1, 0, 1],
    }
    in_milliseconds = [(user, item, 1000 * time, rating) for user, item, time, rating in ROWS]
    assert slices_of(dataset_of(in_milliseconds, ticks=1000)) == slices_of(dataset_of())


def test_slices_that_separate_no_targets_are_left_out():
    assert slices_of(dataset_of([row[:3] for row in ROWS], COLUMNS[:3], ticks=None)) == {}
    alike = [(*row[:3], 3.0) for row in ROWS]
    assert slices_of(dataset_of(alike, ticks=None)) == {}
    # No test target has a high rating.
    low = [(*row[:3], min(row[3], 3.0) if row[1] == 3 else 5.0) for row in ROWS]
    assert slices_of(dataset_of(low, ticks=None)) == {GRADED: [3, 3, 0]}


def test_the_rating_scale_is_that_of_the_unfiltered_log():
    rows = [*ROWS[:6], ("c", 1, 0, 2.0), ("c", 2, 10, 3.0), ("c", 3, 20, 2.0), ("d", 9, 9, 1.0)]
    dropped = dataset_of(rows, min_rating=2)
    assert dropped.rating_scale == RatingScale(1, 5, 4)
    # Two interactions of user b are left, too few for a test target.
    assert slices_of(dropped)[GRADED] == [15, 1]


def test_targets_without_a_rating_have_zero_weight():
    rows = [(*row[:3], None if row[:2] == ("b", 3) else row[3]) for row in ROWS]
    found = slices_of(dataset_of(rows))
    assert found[GRADED] == [15, 0, 0]
    # No row of the log is rated 4 now.
    assert found["rated >= 5"] == [1, 0, 0]


def test_the_figures_of_a_slice_by_hand():
    values = target_values(np.array([1, 3, 12]))
    gains = np.array([15.0, 7.0, 1.0])
    # The ideal ranking has all targets first: 15 + 7 + 1.
    assert means(values, gains)["ndcg@10"] == pytest.approx((15 + 7 / 2) / 23)
    liked = np.array([1.0, 1.0, 0.0])
    assert means(values, liked)["recall@10"] == 1
    assert metrics_in(GRADED) == ("ndcg@10",)


@given(data=st.data(), n=st.integers(2, 30))
def test_equal_weights_change_nothing_and_zero_weights_exclude_targets(data, n):
    values = {"mrr": np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))}
    users = np.array(data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)))
    inside = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any)))
    plain = bootstrap_intervals(values, users, resamples=50)
    assert bootstrap_intervals(values, users, np.full(n, 2.5), resamples=50)["mrr"] == (
        pytest.approx(plain["mrr"])
    )
    values_of_slice = {"mrr": values["mrr"][inside]}
    weights = inside.astype(float)
    assert means(values, weights) == pytest.approx(means(values_of_slice))
    assert bootstrap_intervals(values, users, weights, resamples=50)["mrr"] == pytest.approx(
        bootstrap_intervals(values_of_slice, users[inside], resamples=50)["mrr"]
    )


def test_a_weighted_interval_has_its_nominal_coverage():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        gains = rng.choice([0.0, 1.0, 3.0, 7.0, 15.0], 400)
        # Targets with larger gains are hit more often; gains 3, 7 and 15 have 25/26 of the weight.
        hits = rng.random(400) < np.where(gains > 1, 0.6, 0.2)
        low, high = bootstrap_intervals(
            {"recall": hits.astype(float)}, np.arange(400), gains, seed=seed, resamples=100
        )["recall"]
        covered += low <= (25 * 0.6 + 0.2) / 26 <= high
    # 95% of 200, plus or minus three standard deviations.
    assert 180 <= covered <= 199


def test_mask_moment_hides_the_last_gap_and_the_moment():
    history = {ITEM: np.array([[1, 2], [0, 3]], np.int32), AGE: np.array([[4, 5], [0, 6]])}
    history["hour"] = np.array([7, 8])
    inputs = []
    mask_moment(lambda given: inputs.append(given) or np.zeros((2, 4)), ["hour"])(history)
    assert inputs[0]["hour"].tolist() == [0, 0]
    assert inputs[0][AGE].tolist() == [[4, 0], [0, 0]]
    assert inputs[0][ITEM] is history[ITEM]
    # The input is not modified.
    assert history[AGE].tolist() == [[4, 5], [0, 6]]
