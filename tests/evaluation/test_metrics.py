"""Metrics computed by hand, and the coverage of bootstrap intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values


def test_means_by_hand():
    figures = means(target_values(np.array([1, 2, 10, 11, 100])))
    assert figures == pytest.approx(
        {
            "recall@1": 1 / 5,
            "recall@5": 2 / 5,
            # Rank 10 is within 10, rank 11 is not.
            "recall@10": 3 / 5,
            "recall@50": 4 / 5,
            # 1 / log2(2), 1 / log2(3), 1 / log2(11), and nothing beyond 10.
            "ndcg@10": (1 + 0.6309297536 + 0.2890648263) / 5,
            "mrr": (1 + 0.5 + 0.1 + 1 / 11 + 0.01) / 5,
            "mean_rank": 124 / 5,
        }
    )


@given(rank=st.integers(1, 1_000_000))
def test_metrics_are_in_the_unit_interval_and_fall_with_the_rank(rank):
    better, worse = target_values(np.array([rank])), target_values(np.array([rank + 1]))
    for name in better.keys() - {"mean_rank"}:
        assert 0 <= worse[name][0] <= better[name][0] <= 1
    assert better["ndcg@10"][0] <= better["recall@10"][0]
    assert better["mrr"][0] > worse["mrr"][0]


def test_a_rank_below_one_is_refused():
    with pytest.raises(ValueError, match="rank 0 is below 1"):
        target_values(np.array([3, 0]))


def recall_of(hits: np.ndarray, users: np.ndarray | None = None, **options):
    users = np.arange(len(hits)) if users is None else users
    return bootstrap_intervals({"recall": hits.astype(float)}, users, **options)["recall"]


def hits(n: int, share: float) -> np.ndarray:
    return np.arange(n) < round(n * share)


@pytest.mark.parametrize(("n", "share"), [(500, 0.5), (2000, 0.3), (2000, 0.1)])
def test_the_interval_of_recall_matches_the_normal_approximation(n, share):
    low, high = recall_of(hits(n, share))
    half_width = 1.96 * np.sqrt(share * (1 - share) / n)
    # Percentiles of 1000 resamples are accurate to a few hundredths.
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.1)
    assert (high + low) / 2 == pytest.approx(share, abs=0.15 * half_width)


def test_the_interval_has_its_nominal_coverage():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        low, high = recall_of(rng.random(200) < 0.4, seed=seed, resamples=100)
        covered += low <= 0.4 <= high
    # 95% of 200, plus or minus three standard deviations.
    assert 180 <= covered <= 199


def test_the_interval_shrinks_with_the_square_root_of_the_users():
    widths = [high - low for low, high in (recall_of(hits(n, 0.3)) for n in (100, 400, 1600))]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.15)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.15)


def test_the_interval_depends_on_the_seed():
    # Not hits: their means have few distinct values, so two seeds often give equal percentiles.
    values = {"mrr": np.random.default_rng(0).random(100)}
    users = np.arange(100)
    first, again, other = (bootstrap_intervals(values, users, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_targets_of_a_user_are_resampled_together():
    one_each = hits(50, 0.3)
    # Twenty equal targets per user add no information to one: the interval must not shrink.
    alone = recall_of(one_each)
    repeated = recall_of(np.repeat(one_each, 20), np.repeat(np.arange(50), 20))
    assert repeated == pytest.approx(alone)
    # It would shrink if they were 1000 users.
    low, high = recall_of(np.repeat(one_each, 20))
    assert high - low < (alone[1] - alone[0]) / 3


def test_a_resample_averages_over_targets_not_over_users():
    # User 7 has three hits, user 3 one miss; their targets are interleaved.
    values, users = np.array([1, 0, 1, 1]), np.array([7, 3, 7, 7])
    drawn = {recall_of(values, users, seed=seed, resamples=1) for seed in range(50)}
    assert drawn == {(0.0, 0.0), (0.75, 0.75), (1.0, 1.0)}


def test_every_metric_has_its_own_interval_from_the_same_resamples():
    values = target_values(np.array([1, 2, 10, 11, 100] * 20))
    intervals = bootstrap_intervals(values, np.arange(100))
    figures = means(values)
    assert intervals.keys() == figures.keys()
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high
        alone = bootstrap_intervals({name: values[name]}, np.arange(100))
        assert alone[name] == pytest.approx((low, high))
