"""Trials: what is fed, and what it means."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convert.histories import INT32, Trials, known_alone, trials
from jaxrec.features import ITEM, PAD
from jaxrec.heldout import Heldout
from tests.worlds import left_padded

SIZE = 50


def heldout_of(histories: list[list[int]]) -> Heldout:
    ids = np.array(histories, np.int32)
    nothing = np.empty(0, np.int32)
    targets = np.full(len(ids), 7, np.int32)
    return Heldout({ITEM: ids}, targets, nothing, np.zeros(len(ids) + 1, np.int64))


HELDOUT = heldout_of([[0, 0, 3, 9], [5, 6, 7, 8], [0, 0, 0, 50]])


def tried(kind: str) -> Trials:
    everything = trials(HELDOUT, SIZE)
    return everything.select(np.array([each == kind for each in everything.kinds]))


@given(st.lists(st.integers(INT32.min, INT32.max) | st.integers(-2, SIZE + 2), min_size=1))
def test_what_is_known_stays_in_its_order(history):
    (meant,) = known_alone(np.array([history], np.int32), SIZE).tolist()
    assert meant == left_padded([i for i in history if 0 < i <= SIZE], len(history))


def test_held_out_histories_come_first_as_they_are():
    everything = trials(HELDOUT, SIZE)
    assert everything.kinds[:3] == ["held out"] * 3
    np.testing.assert_array_equal(everything.given[:3], HELDOUT.history[ITEM])
    np.testing.assert_array_equal(everything.meant[:3], HELDOUT.history[ITEM])
    assert "held out" not in everything.kinds[3:]
    assert everything.given.dtype == everything.meant.dtype == np.int32
    np.testing.assert_array_equal(everything.meant, known_alone(everything.given, SIZE))


def test_every_mistake_is_what_its_name_says():
    for kind, value in (
        ("an unknown id within", SIZE + 1),
        ("negative ids within", -1),
        ("the largest and the smallest number within", INT32.max),
        ("the largest and the smallest number within", INT32.min),
    ):
        rows = tried(kind)
        assert (rows.given == value).any(axis=1).all(), kind
        # Something stands after it, and where there was room, before it.
        assert (rows.given[:, -1] > 0).all()
        assert (np.count_nonzero(rows.meant, axis=1) >= 1).all()
    assert not tried("empty").given.any()
    assert (np.count_nonzero(tried("one item").given, axis=1) == 1).all()
    assert (tried("full").given > PAD).all()
    assert (tried("padded on the right").given[:, 0] > PAD).all()
    assert not tried("unknown ids alone").meant.any()
    assert tried("unknown ids alone").given.all()
    for row in tried("one item again and again").given:
        assert len(set(row[row > PAD].tolist())) == 1
    repeated = tried("repeated items").given
    assert any(len(set(row.tolist())) == 2 and PAD not in row for row in repeated)


def test_mistakes_of_a_history_of_one():
    """N = 1 leaves no room within."""
    everything = trials(heldout_of([[4], [50]]), SIZE)
    assert everything.given.shape[1] == 1
    np.testing.assert_array_equal(everything.meant, known_alone(everything.given, SIZE))


def test_a_history_is_described_by_place_kind_and_numbers():
    everything = trials(HELDOUT, SIZE)
    assert everything.describe(1) == "history 1 (held out): [5, 6, 7, 8]"
