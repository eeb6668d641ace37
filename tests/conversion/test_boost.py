"""The boost of new items: margins, the search, and the effect, by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.boost import (
    BoostEffect,
    Margins,
    describe_boost,
    find_boost,
    margins_of,
    measure_boost,
)

OLD = 14


def scores_of(old: list[float], new: list[float]) -> np.ndarray:
    """Build the scores of one history; those of old items are filled up with low ones."""
    filled = [*old, *[-50.0] * (OLD - len(old))]
    return np.array([[-np.inf, *filled, *new]], np.float32)


def test_a_target_is_lost_when_enough_new_items_score_as_high():
    """Item 8 is eighth of the old items, so the third new item pushes it out, from 3 - 1 on."""
    scores = scores_of([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [2.5, 1.0, 1.5])
    margins = margins_of(scores, np.array([8]), OLD + 1)
    assert margins.is_hit.tolist() == [True]
    assert margins.lost.tolist() == [2.0]
    # The tenth old item has a score of 1, so the best new item is listed at any boost above -1.5.
    assert margins.listed.tolist() == [-1.5]


def test_too_few_new_items_never_push_a_target_out():
    scores = scores_of([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [2.5, 1.0])
    assert margins_of(scores, np.array([8]), OLD + 1).lost.tolist() == [np.inf]


def test_targets_beyond_the_first_ten_and_excluded_ones_are_no_hits():
    scores = scores_of(list(range(20, 20 - OLD, -1)), [0.0])
    assert margins_of(scores, np.array([10]), OLD + 1).is_hit.tolist() == [True]
    assert margins_of(scores, np.array([11]), OLD + 1).is_hit.tolist() == [False]
    scores[0, 3] = -np.inf
    assert margins_of(scores, np.array([3]), OLD + 1).is_hit.tolist() == [False]


def margins_by_hand() -> Margins:
    """Return the margins of ten hits, lost at 1, 2, ... 10, and of a miss."""
    lost = np.array([*range(1, 11), np.inf], float)
    return Margins(np.arange(11) < 10, lost, np.full(11, 20.0))


@pytest.mark.parametrize(("cost", "lost"), [(0.0, 0), (0.09, 0), (0.1, 1), (0.55, 5), (0.99, 9)])
def test_the_boost_is_the_largest_at_the_allowed_cost(cost, lost):
    boost = find_boost(margins_by_hand(), cost)
    assert boost == pytest.approx(lost + 1, abs=2e-3) and boost < lost + 1
    effect = measure_boost(margins_by_hand(), boost, cost, items=3)
    assert effect.cost == pytest.approx(lost / 10)
    assert effect.recall_without == pytest.approx(10 / 11)
    assert effect.recall_with == pytest.approx((10 - lost) / 11)
    assert effect.cost_interval[0] <= effect.cost <= effect.cost_interval[1]
    more = measure_boost(margins_by_hand(), boost + 2e-3, cost, items=3)
    assert more.cost == pytest.approx((lost + 1) / 10)


def test_the_boost_is_no_larger_than_brings_a_new_item_into_every_list():
    margins = margins_by_hand()._replace(listed=np.array([0.0] * 10 + [0.5]))
    boost = find_boost(margins, 0.9)
    assert 0.5 < boost < 0.502
    assert measure_boost(margins, boost, 0.9, items=1).lists_with_new_items == 1
    assert measure_boost(margins, 0.4, None, items=1).lists_with_new_items == pytest.approx(10 / 11)
    anyway = margins._replace(listed=np.full(11, -np.inf))
    assert 0 < find_boost(anyway, 0.9) < 2e-3


def test_new_items_that_cost_too_much_are_lowered():
    margins = margins_by_hand()
    margins = margins._replace(lost=margins.lost - 5)
    assert find_boost(margins, 0.1) == pytest.approx(-3, abs=2e-3)


def test_without_hits_nothing_is_lost():
    margins = margins_by_hand()._replace(is_hit=np.zeros(11, bool))
    effect = measure_boost(margins, 5.0, None, items=1)
    assert (effect.cost, effect.cost_interval, effect.recall_with) == (0.0, (0.0, 0.0), 0.0)
    assert find_boost(margins, 0.01) == pytest.approx(20, abs=2e-3)


halves = st.integers(-20, 20).map(lambda number: number / 2)


@given(data=st.data(), new=st.integers(1, 12), boost=halves)
def test_margins_agree_with_ranking_boosted_scores(data, new, boost):
    """Scores and boosts are halves, so that there are ties, which count against the target."""
    n = 6
    rows = st.lists(halves, min_size=OLD + new, max_size=OLD + new)
    drawn = data.draw(st.lists(rows, min_size=n, max_size=n))
    scores = np.pad(np.array(drawn, np.float32), ((0, 0), (1, 0)), constant_values=-np.inf)
    is_excluded = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    scores[is_excluded, 1:5] = -np.inf
    targets = np.array(data.draw(st.lists(st.integers(1, OLD), min_size=n, max_size=n)))
    margins = margins_of(scores, targets, OLD + 1)
    raised = scores.copy()
    raised[:, OLD + 1 :] += boost
    for row, target in enumerate(targets):
        target_score = raised[row, target]
        assert margins.is_hit[row] == (
            np.sum(scores[row, : OLD + 1] >= target_score) <= 10 and target_score > -np.inf
        )
        is_hit = np.sum(raised[row] >= target_score) <= 10 and target_score > -np.inf
        assert (margins.is_hit[row] and margins.lost[row] > boost) == is_hit
        # Old items come first among equal scores.
        best = np.argsort(-raised[row], kind="stable")[:10]
        assert (margins.listed[row] < boost) == (best > OLD).any()


def test_the_description_has_boost_cost_and_share():
    effect = BoostEffect(3, 1.25, 0.01, 0.3, 0.2976, 0.008, (0.005, 0.011), 0.345, 1200)
    assert describe_boost(effect) == (
        "34.5% of 1,200 held-out histories have a new item in the first ten, with 1.25 added to "
        "the scores of 3 new items. These cost the other items 0.80% (0.50% to 1.10%) of their "
        "recall@10: 0.2976 instead of 0.3000."
    )
