"""Buckets of window lengths: their edges minimize the padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data import buckets
from jaxrec.data.buckets import MAX_BUCKETS, MIN_SAVED_SHARE, bucket_edges


@pytest.fixture(autouse=True, scope="module")
def no_minimum():
    """Lower the number of positions that another shape must save: these timelines are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "MIN_SAVED", 1)
        yield


def count_padded_positions(lengths: list[int], edges: list[int]) -> int:
    """Count the positions of rows that are padded to the next edge."""
    return sum(min(edge for edge in edges if edge >= max(length, 1)) for length in lengths)


@given(
    lengths=st.lists(st.integers(0, 16), min_size=1, max_size=40),
    fixed_positions=st.sampled_from([0, 500]),
)
def test_bucket_edges_are_optimal_and_each_bucket_pays_off(lengths, fixed_positions):
    edges = bucket_edges(np.array(lengths), fixed_positions=fixed_positions)
    assert edges == sorted(set(edges)) and edges[-1] == max([1, *lengths])
    assert len(edges) <= MAX_BUCKETS
    cost = count_padded_positions(lengths, edges)
    for other in range(1, max(lengths)):
        for i in range(len(edges) - 1):
            moved = sorted({*edges[:i], other, *edges[i + 1 :]})
            assert count_padded_positions(lengths, moved) >= cost
    if len(edges) == 1:
        best = min(count_padded_positions(lengths, [other, *edges]) for other in range(1, 17))
        assert best >= cost - MIN_SAVED_SHARE * (cost + fixed_positions)


def test_buckets_by_hand():
    # 10 rows of 2 and 2 of 20: 240 positions in one bucket, 60 in two. 4 rows of 19 do not pay for
    # a bucket.
    assert bucket_edges(np.array([2] * 10 + [20] * 2)) == [2, 20]
    assert bucket_edges(np.array([2] * 10 + [20] * 2), fixed_positions=10_000) == [20]
    assert bucket_edges(np.array([19] * 4 + [20] * 2)) == [20]


def test_another_shape_must_save_as_much_as_it_costs_to_compile(monkeypatch):
    # As above: a second bucket saves 18 positions for each of the 10 rows of 2.
    monkeypatch.setattr(buckets, "MIN_SAVED", 180)
    assert bucket_edges(np.array([2] * 10 + [20] * 2)) == [2, 20]
    monkeypatch.setattr(buckets, "MIN_SAVED", 181)
    assert bucket_edges(np.array([2] * 10 + [20] * 2)) == [20]
