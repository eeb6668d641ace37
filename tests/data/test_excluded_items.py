"""Excluded items in all their representations, against plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data import excluded_items
from jaxrec.data.excluded_items import ExcludedItems, excluded_mask, items_before, items_in
from tests.small_data import timelines_of, user_sequences

V = 9


def excluded_of(rows: list[list[int]]) -> ExcludedItems:
    ids = np.array([item for row in rows for item in row], np.int32)
    return ExcludedItems(ids, np.cumsum([0, *map(len, rows)]))


@given(sequences=user_sequences(), data=st.data())
def test_exactly_the_items_before_a_position_are_excluded(sequences, data):
    timelines = timelines_of(sequences)
    all_positions = range(len(timelines.items))
    positions = data.draw(st.lists(st.sampled_from(all_positions), max_size=20))
    before = [items[:i] for items in sequences for i in range(len(items))]
    excluded = items_before(timelines, np.array(positions, np.int64))
    expected = [(row, item) for row, position in enumerate(positions) for item in before[position]]
    assert list(zip(excluded.rows.tolist(), excluded.ids.tolist(), strict=True)) == expected
    assert len(excluded) == len(positions)


rows_of_ids = st.lists(st.lists(st.integers(1, V), max_size=7), min_size=1, max_size=5)


@given(rows=rows_of_ids, data=st.data())
def test_rows_are_gathered_in_any_order(rows, data):
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=6))
    gathered = excluded_of(rows).gather(np.array(chosen, np.int64))
    expected = excluded_of([rows[number] for number in chosen])
    np.testing.assert_array_equal(gathered.ids, expected.ids)
    np.testing.assert_array_equal(gathered.offsets, expected.offsets)


@given(rows=rows_of_ids, data=st.data())
def test_contains_tests_ids_row_by_row(rows, data):
    candidates = [data.draw(st.lists(st.integers(0, 2 * V), min_size=3, max_size=3)) for _ in rows]
    holds = excluded_of(rows).contains(np.array(candidates, np.int32))
    assert holds.tolist() == [
        [item in row for item in ids] for row, ids in zip(rows, candidates, strict=True)
    ]


def test_a_padded_history_is_a_row():
    histories = np.array([[0, 3, 5], [0, 0, 0]], np.int32)
    assert items_in(histories).contains(np.array([[5, 4], [5, 0]])).tolist() == [
        [True, False],
        [False, True],
    ]


@pytest.mark.parametrize("most_bits", [V, V - 1], ids=["bits", "ids"])
@given(rows=rows_of_ids, ids=st.lists(st.integers(1, V), min_size=4, max_size=4))
def test_bitsets_and_ids_give_the_same_mask(most_bits, rows, ids):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excluded_items, "MAX_BITSET_SIZE", most_bits)
        batch = excluded_of(rows).as_batch(V, max_ids=7)
    assert (batch.dtype == np.uint8) == (most_bits == V)
    expected = [[item in row for item in ids] for row in rows]
    candidates = np.array(ids, np.int32)
    assert excluded_mask(batch, candidates).tolist() == expected
    assert jax.jit(excluded_mask)(jnp.asarray(batch), jnp.asarray(candidates)).tolist() == expected


def test_the_size_of_ids_does_not_depend_on_the_catalogue():
    rows = excluded_of([[3, 1_000_000], []])
    assert rows.as_batch(1_000_000, max_ids=3).tolist() == [[0, 3, 1_000_000], [0, 0, 0]]
