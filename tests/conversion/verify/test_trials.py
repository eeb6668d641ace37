"""Verification trials: malformed inputs, and their canonical form."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.verify.trials import INT32, Trials, build_trials, canonicalize
from jaxrec.runtime.interpreter import HISTORY
from jaxrec.schema import ITEM, PAD, Feature
from tests.small_data import left_padded
from tests.small_models import make_heldout

SIZE = 50
MOOD_FEATURE = Feature("mood", "activity", "id", 3)


HELDOUT = make_heldout([[0, 0, 3, 9], [5, 6, 7, 8], [0, 0, 0, 50]])


def trials_of_kind(kind: str) -> Trials:
    trials = build_trials(HELDOUT, SIZE)
    return trials.select(np.array([each == kind for each in trials.kinds]))


@given(st.lists(st.integers(INT32.min, INT32.max) | st.integers(-2, SIZE + 2), min_size=1))
def test_canonicalize_keeps_known_items_in_order(history):
    (canonical,) = canonicalize({HISTORY: np.array([history], np.int32)}, SIZE)[HISTORY].tolist()
    assert canonical == left_padded([i for i in history if 0 < i <= SIZE], len(history))


def test_held_out_histories_come_first_unchanged():
    trials = build_trials(HELDOUT, SIZE)
    assert trials.kinds[:3] == ["held out"] * 3
    given, canonical = trials.inputs[HISTORY], trials.canonical[HISTORY]
    np.testing.assert_array_equal(given[:3], HELDOUT.history[ITEM])
    np.testing.assert_array_equal(canonical[:3], HELDOUT.history[ITEM])
    assert "held out" not in trials.kinds[3:]
    assert given.dtype == canonical.dtype == np.int32
    np.testing.assert_array_equal(canonical, canonicalize(trials.inputs, SIZE)[HISTORY])


def test_trials_of_each_kind_match_its_name():
    for kind, value in (
        ("an unknown id inside", SIZE + 1),
        ("negative ids inside", -1),
        ("the largest and the smallest integer inside", INT32.max),
        ("the largest and the smallest integer inside", INT32.min),
    ):
        rows = trials_of_kind(kind)
        assert (rows.inputs[HISTORY] == value).any(axis=1).all(), kind
        # An item follows the value, and another precedes it where there is room.
        assert (rows.inputs[HISTORY][:, -1] > 0).all()
        assert (np.count_nonzero(rows.canonical[HISTORY], axis=1) >= 1).all()
    assert not trials_of_kind("empty").inputs[HISTORY].any()
    assert (np.count_nonzero(trials_of_kind("one item").inputs[HISTORY], axis=1) == 1).all()
    assert (trials_of_kind("full").inputs[HISTORY] > PAD).all()
    assert (trials_of_kind("padded on the right").inputs[HISTORY][:, 0] > PAD).all()
    assert not trials_of_kind("only unknown ids").canonical[HISTORY].any()
    assert trials_of_kind("only unknown ids").inputs[HISTORY].all()
    for row in trials_of_kind("only one item").inputs[HISTORY]:
        assert len(set(row[row > PAD].tolist())) == 1
    repeated = trials_of_kind("repeated items").inputs[HISTORY]
    assert any(len(set(row.tolist())) == 2 and PAD not in row for row in repeated)


def test_trials_of_history_length_one():
    """Check that N = 1, which has no inner positions, is supported."""
    trials = build_trials(make_heldout([[4], [50]]), SIZE)
    assert trials.inputs[HISTORY].shape[1] == 1
    np.testing.assert_array_equal(
        trials.canonical[HISTORY], canonicalize(trials.inputs, SIZE)[HISTORY]
    )


def test_describe_names_index_kind_and_ids():
    trials = build_trials(HELDOUT, SIZE)
    assert trials.describe(1) == "history 1 (held out): [5, 6, 7, 8]"


def test_canonicalize_moves_features_along_with_their_items():
    """Check that unknown items lose their features, and that unknown values become id 0."""
    given = {
        HISTORY: np.array([[3, SIZE + 1, 0, 9, 5]], np.int32),
        "mood": np.array([[1, 2, 2, 4, 0]], np.int32),
    }
    canonical = canonicalize(given, SIZE, [MOOD_FEATURE])
    assert canonical[HISTORY].tolist() == [[0, 0, 3, 9, 5]]
    assert canonical["mood"].tolist() == [[0, 0, 1, 0, 0]]


def test_trials_contain_unknown_feature_values():
    heldout = make_heldout([[0, 0, 3, 9], [5, 6, 7, 8]])
    moods = np.array([[0, 0, 1, 2], [3, 0, 1, 2]], np.int32)
    heldout = replace(heldout, history=heldout.history | {"mood": moods})
    trials = build_trials(heldout, SIZE, [MOOD_FEATURE])
    has_unknown_values = [each == "unknown feature values" for each in trials.kinds]
    unknown_values = trials.select(np.array(has_unknown_values))
    assert {-1, INT32.max} <= set(unknown_values.inputs["mood"].ravel().tolist())
    assert (unknown_values.canonical[HISTORY] == unknown_values.inputs[HISTORY]).all()
    assert not unknown_values.canonical["mood"].any()
    assert "'mood': [0, 0, 1, 2]" in trials.describe(0)
