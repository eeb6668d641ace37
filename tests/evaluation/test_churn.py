"""Churn between the lists of two models, by hand and by its properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.evaluation.churn import churn_values, common_ids, compute_churn

TEN = list(range(1, 11))


def values_of(before, after, **options) -> dict[str, list[float]]:
    found = churn_values(np.array(before), np.array(after), **options)
    return {name: value.tolist() for name, value in found.items()}


def test_overlaps_by_hand():
    found = values_of(
        [TEN, TEN, TEN, TEN],
        [TEN, TEN[::-1], [1, *range(11, 20)], [*range(11, 18), 3, 2, 1]],
    )
    assert found == {
        "overlap@10": [1, 1, 0.1, 0.3],
        "same_first": [1, 0, 1, 0],
        "changed_items@10": [0, 0, 1, 1],
        "changed@10": [0, 1, 1, 1],
    }


def test_only_the_first_ten_items_count():
    assert values_of([[*TEN, 11, 12]], [[*TEN, 12]])["changed@10"] == [0]
    assert values_of([[*TEN, 11]], [[*TEN[:9], 11, 10]])["overlap@10"] == [0.9]


def test_short_lists_are_compared_with_the_longer_one():
    found = values_of([[1, 2, 0, 0], [1, 2, 3, 0], [0, 0, 0, 0]], [[1, 2], [2, 0], [0, 0]])
    assert found["overlap@10"] == pytest.approx([1, 1 / 3, 1])
    assert found["same_first"] == [1, 0, 1]
    assert found["changed_items@10"] == found["changed@10"] == [0, 1, 0]


def test_a_new_history_is_a_reason_for_a_change():
    before, after = [TEN] * 4, [TEN, TEN, TEN[::-1], [*TEN[:9], 11]]
    found = values_of(before, after, has_new_history=np.array([True, False, True, False]))
    assert found["overlap@10"] == [1, 1, 1, 0.9]
    assert found["changed_items@10"] == found["changed@10"] == [0, 0, 0, 1]


def test_means_and_intervals_are_those_of_the_users():
    before = np.array([TEN] * 4)
    after = np.array([TEN, TEN, TEN, [*TEN[:5], *range(21, 26)]])
    churn = compute_churn(before, after)
    assert churn.users == 4
    assert churn.means == {
        "overlap@10": 0.875,
        "same_first": 1,
        "changed_items@10": 0.25,
        "changed@10": 0.25,
    }
    assert churn.intervals["same_first"] == (1, 1)
    low, high = churn.intervals["changed@10"]
    assert low < 0.25 < high
    # The lists of one user are resampled together: a single user leaves nothing to resample.
    together = compute_churn(before, after, users=np.array([3, 3, 3, 3]))
    assert (together.users, together.intervals["changed@10"]) == (1, (0.25, 0.25))


def test_no_lists_have_no_churn():
    with pytest.raises(ValueError, match="no lists"):
        compute_churn(np.empty((0, 10), int), np.empty((0, 10), int))


def test_common_ids_are_equal_for_the_same_raw_item():
    first, second, text = common_ids([30, 10, 20], [20, 99, 30], ["10", "30"])
    assert first.tolist() == [0, 1, 2, 3]
    assert second.tolist() == [0, 3, 4, 1]
    # An item is the same whether a log had it as a number or as text.
    assert text.tolist() == [0, 2, 1]


def lists_of(users: int) -> st.SearchStrategy[np.ndarray]:
    """Draw a list of 0 to 12 distinct items for each user, padded at the end."""
    one = st.lists(st.integers(1, 20), max_size=12, unique=True)
    every = st.lists(one, min_size=users, max_size=users)
    return every.map(lambda lists: np.array([each + [0] * (12 - len(each)) for each in lists]))


two_models = st.integers(1, 5).flatmap(lambda users: st.tuples(lists_of(users), lists_of(users)))


@given(two_models)
def test_identical_lists_have_no_churn(both):
    before, _ = both
    found = compute_churn(before, before.copy())
    assert list(found.means.values()) == [1, 1, 0, 0]
    assert set(found.intervals.values()) <= {(1, 1), (0, 0)}


@given(two_models)
def test_churn_is_symmetric(both):
    before, after = both
    assert values_of(before, after) == values_of(after, before)


@given(two_models, st.randoms())
def test_order_changes_neither_overlap_nor_the_changed_items(both, random):
    before, after = both
    first = after[:, :10].tolist()
    for row in first:
        random.shuffle(row)  # padding too, which may then be anywhere
    shuffled, found = values_of(before, first), values_of(before, after)
    for name in ("overlap@10", "changed_items@10"):
        assert shuffled[name] == found[name]


@given(two_models)
def test_churn_agrees_with_sets(both):
    found = values_of(*both)
    for row, (before, after) in enumerate(zip(*(each.tolist() for each in both), strict=True)):
        ours, theirs = ([item for item in each[:10] if item] for each in (before, after))
        longest = max(len(ours), len(theirs))
        overlap = len({*ours} & {*theirs}) / longest if longest else 1
        assert found["overlap@10"][row] == pytest.approx(overlap)
        assert found["changed_items@10"][row] == ({*ours} != {*theirs})
        assert found["changed@10"][row] == (ours != theirs)
        assert found["same_first"][row] == (ours[:1] == theirs[:1])


@given(two_models, st.permutations(range(1, 21)))
def test_churn_does_not_depend_on_the_numbers_of_the_items(both, renumbered):
    table = np.array([0, *renumbered])
    assert values_of(*both) == values_of(*(table[each] for each in both))
