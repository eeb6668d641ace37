"""Trials: what is fed, and what it means."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.verify.trials import INT32, Trials, build_trials, canonicalize
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY
from jaxrec.schema import ITEM, PAD, Feature
from tests.worlds import left_padded

SIZE = 50
MOOD = Feature("mood", "activity", "id", 3)


def heldout_of(histories: list[list[int]]) -> Heldout:
    ids = np.array(histories, np.int32)
    nothing = np.empty(0, np.int32)
    targets = np.full(len(ids), 7, np.int32)
    return Heldout({ITEM: ids}, targets, ExcludedItems(nothing, np.zeros(len(ids) + 1, np.int64)))


HELDOUT = heldout_of([[0, 0, 3, 9], [5, 6, 7, 8], [0, 0, 0, 50]])


def tried(kind: str) -> Trials:
    everything = build_trials(HELDOUT, SIZE)
    return everything.select(np.array([each == kind for each in everything.kinds]))


@given(st.lists(st.integers(INT32.min, INT32.max) | st.integers(-2, SIZE + 2), min_size=1))
def test_what_is_known_stays_in_its_order(history):
    (meant,) = canonicalize({HISTORY: np.array([history], np.int32)}, SIZE)[HISTORY].tolist()
    assert meant == left_padded([i for i in history if 0 < i <= SIZE], len(history))


def test_held_out_histories_come_first_as_they_are():
    everything = build_trials(HELDOUT, SIZE)
    assert everything.kinds[:3] == ["held out"] * 3
    given, meant = everything.inputs[HISTORY], everything.canonical[HISTORY]
    np.testing.assert_array_equal(given[:3], HELDOUT.history[ITEM])
    np.testing.assert_array_equal(meant[:3], HELDOUT.history[ITEM])
    assert "held out" not in everything.kinds[3:]
    assert given.dtype == meant.dtype == np.int32
    np.testing.assert_array_equal(meant, canonicalize(everything.inputs, SIZE)[HISTORY])


def test_every_mistake_is_what_its_name_says():
    for kind, value in (
        ("an unknown id within", SIZE + 1),
        ("negative ids within", -1),
        ("the largest and the smallest number within", INT32.max),
        ("the largest and the smallest number within", INT32.min),
    ):
        rows = tried(kind)
        assert (rows.inputs[HISTORY] == value).any(axis=1).all(), kind
        # Something stands after it, and where there was room, before it.
        assert (rows.inputs[HISTORY][:, -1] > 0).all()
        assert (np.count_nonzero(rows.canonical[HISTORY], axis=1) >= 1).all()
    assert not tried("empty").inputs[HISTORY].any()
    assert (np.count_nonzero(tried("one item").inputs[HISTORY], axis=1) == 1).all()
    assert (tried("full").inputs[HISTORY] > PAD).all()
    assert (tried("padded on the right").inputs[HISTORY][:, 0] > PAD).all()
    assert not tried("unknown ids alone").canonical[HISTORY].any()
    assert tried("unknown ids alone").inputs[HISTORY].all()
    for row in tried("one item again and again").inputs[HISTORY]:
        assert len(set(row[row > PAD].tolist())) == 1
    repeated = tried("repeated items").inputs[HISTORY]
    assert any(len(set(row.tolist())) == 2 and PAD not in row for row in repeated)


def test_mistakes_of_a_history_of_one():
    """N = 1 leaves no room within."""
    everything = build_trials(heldout_of([[4], [50]]), SIZE)
    assert everything.inputs[HISTORY].shape[1] == 1
    np.testing.assert_array_equal(
        everything.canonical[HISTORY], canonicalize(everything.inputs, SIZE)[HISTORY]
    )


def test_a_history_is_described_by_place_kind_and_numbers():
    everything = build_trials(HELDOUT, SIZE)
    assert everything.describe(1) == "history 1 (held out): [5, 6, 7, 8]"


def test_other_features_go_where_their_items_go():
    """Unknown items take their features along; an unknown value of a known item is unknown."""
    given = {
        HISTORY: np.array([[3, SIZE + 1, 0, 9, 5]], np.int32),
        "mood": np.array([[1, 2, 2, 4, 0]], np.int32),
    }
    meant = canonicalize(given, SIZE, [MOOD])
    assert meant[HISTORY].tolist() == [[0, 0, 3, 9, 5]]
    assert meant["mood"].tolist() == [[0, 0, 1, 0, 0]]


def test_hostile_values_of_other_features_are_tried():
    heldout = heldout_of([[0, 0, 3, 9], [5, 6, 7, 8]])
    moods = np.array([[0, 0, 1, 2], [3, 0, 1, 2]], np.int32)
    heldout = replace(heldout, history=heldout.history | {"mood": moods})
    everything = build_trials(heldout, SIZE, [MOOD])
    strange = [each == "unknown values of known items" for each in everything.kinds]
    tried = everything.select(np.array(strange))
    assert {-1, INT32.max} <= set(tried.inputs["mood"].ravel().tolist())
    assert (tried.canonical[HISTORY] == tried.inputs[HISTORY]).all()
    assert not tried.canonical["mood"].any()
    assert "'mood': [0, 0, 1, 2]" in everything.describe(0)
