"""Translation of held-out histories between the items and features of two models."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.runs.heldout import Heldout, draw_heldout
from jaxrec.runs.translation import ModelInputs, translate
from jaxrec.schema import ITEM, PAD, Feature
from tests.small_data import dataset_of, left_padded, user_sequences

COLOR = Feature("color", "activity", "id", 3, ("red", "green", "blue"))
AGES = Feature("age", "activity", "age", 31)
PRICE = Feature("price", "user", "number", 2, (10.0,))


def heldout_of(timelines: Sequence[Sequence[int]], length: int, **features: np.ndarray) -> Heldout:
    """Return the histories of these timelines, whose last item is the target."""
    past = [items[:-1] for items in timelines]
    history = {ITEM: np.array([left_padded(items, length) for items in past], np.int32)}
    history |= features
    ids = np.array([item for items in past for item in items], np.int32)
    seen = ExcludedItems(ids, np.cumsum([0, *map(len, past)]))
    targets = np.array([items[-1] for items in timelines], np.int32)
    return Heldout(history, targets, seen, np.arange(len(past)))


def inputs_of(items: Sequence, length: int, *features: Feature) -> ModelInputs:
    return ModelInputs(items, features, length)


def test_items_by_hand():
    heldout = heldout_of([[1, 2, 3, 4], [3, 3, 2], [4, 1]], 2)
    found = translate(heldout, inputs_of([10, 20, 30, 40], 2), inputs_of(["30", "99", "10"], 3))
    # Items 20 and 40 are unknown. The longer history has the first item of the timeline too.
    assert found.history[ITEM].tolist() == [[0, 3, 1], [0, 1, 1], [0, 0, 0]]
    assert found.target.tolist() == [0, 0, 3]
    assert found.seen.ids.tolist() == [3, 1, 1, 1]
    assert found.seen.offsets.tolist() == [0, 2, 4, 4]
    assert found.users is heldout.users


def test_features_of_activities_follow_their_items():
    heldout = heldout_of(
        [[1, 2, 3, 2, 1]],
        3,
        color=np.array([[2, 0, 3]], np.int32),
        age=np.array([[70, 60, 50]], np.int32),
    )
    other = Feature("color", "activity", "id", 2, ("blue", "green"))
    found = translate(heldout, inputs_of("abc", 3, COLOR, AGES), inputs_of("xbc", 4, other, AGES))
    # Of a, b, c, b, item a is unknown; the first b is beyond the three activities with features.
    assert found.history[ITEM].tolist() == [[0, 2, 3, 2]]
    assert found.history["color"].tolist() == [[0, 2, 0, 1]]
    assert found.history["age"].tolist() == [[-1, 70, 60, 50]]


@pytest.mark.parametrize(
    ("source", "values", "target", "expected"),
    [
        (PRICE, [7.5, np.nan], PRICE, [7.5, np.nan]),
        (PRICE, [7.0, np.nan], Feature("price", "user", "id", 2, (3, 7)), [2, 0]),
        (Feature("price", "user", "id", 2, (3, 7)), [2, 0], PRICE, [7, np.nan]),
        (Feature("price", "user", "id", 2, ("a", "b")), [2, 0], PRICE, [np.nan, np.nan]),
        (Feature("price", "user", "id", 2, (3, 7)), [2, 1], COLOR, None),
        (Feature("price", "moment", "id", 2, (3, 7)), [2, 1], PRICE, [np.nan, np.nan]),
    ],
)
def test_values_by_hand(source, values, target, expected):
    dtype = np.float32 if source.kind == "number" else np.int32
    heldout = heldout_of([[1, 2], [2, 1]], 1, price=np.array(values, dtype))
    found = translate(heldout, inputs_of("ab", 1, source), inputs_of("ab", 1, target))
    assert found.history.keys() == {ITEM, target.name}
    if expected is None:  # another feature, of activities
        expected = [[0], [0]]
    np.testing.assert_array_equal(found.history[target.name], expected)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=5))
def test_a_translation_to_the_same_model_changes_nothing(timelines):
    heldout, inputs = heldout_of(timelines, 4), inputs_of(range(9), 4)
    found = translate(heldout, inputs, inputs)
    np.testing.assert_array_equal(found.history[ITEM], heldout.history[ITEM])
    np.testing.assert_array_equal(found.target, heldout.target)
    np.testing.assert_array_equal(found.seen.ids, heldout.seen.ids)
    np.testing.assert_array_equal(found.seen.offsets, heldout.seen.offsets)


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=5),
    st.lists(st.integers(0, 12), unique=True, min_size=1),
    st.integers(1, 8),
)
def test_a_translation_is_that_of_the_raw_items(timelines, known, length):
    """Translate by raw items, one user at a time, and compare."""
    found = translate(heldout_of(timelines, 4), inputs_of(range(9), 4), inputs_of(known, length))
    for row, timeline in enumerate(timelines):
        raw = [item - 1 for item in timeline[:-1]]
        ids = [known.index(item) + 1 for item in raw if item in known]
        assert found.history[ITEM][row].tolist() == left_padded(ids, length)
        assert found.seen.gather(np.array([row])).ids.tolist() == ids
        assert (found.target[row] == PAD) == (timeline[-1] - 1 not in known)


@given(user_sequences())
def test_a_history_is_the_end_of_all_that_a_user_has_seen(sequences):
    """Check what a translation relies on."""
    dataset = dataset_of([*sequences, [1, 2, 3, 4]])
    heldout = draw_heldout(dataset, 4, seed=0)
    for row, items in enumerate(heldout.history[ITEM].tolist()):
        assert items == left_padded(heldout.seen.gather(np.array([row])).ids.tolist(), 4)
    assert heldout.users is not None
    users = dataset.timelines.users_of(dataset.split.test)
    np.testing.assert_array_equal(heldout.users, users)
