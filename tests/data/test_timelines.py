"""Timelines, against plain Python, and their order after `prepare`."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.data.timelines import Timelines, gather
from jaxrec.schema import ITEM, PAD, Schema
from tests.small_data import left_padded, log_of, timelines_of, user_sequences

EVERYTHING = DataConfig(
    filters=FilterConfig(min_item_interactions=1, min_user_interactions=1),
)


def with_second_feature(timelines: Timelines) -> Timelines:
    """Add a feature whose ids differ from those of the items."""
    activities = timelines.activities | {"genre": timelines.items + np.int32(100)}
    return Timelines(activities, timelines.offsets, timelines.timestamps)


def test_a_history_is_left_padded_with_the_most_recent_item_last():
    timelines = timelines_of([[1, 2, 3, 4], [5, 6]])
    histories = timelines.histories(np.array([0, 1, 3, 4, 5]), 2)
    assert histories[ITEM].tolist() == [[0, 0], [0, 1], [2, 3], [0, 0], [0, 5]]
    assert histories[ITEM].dtype == np.int32
    assert timelines.lengths.tolist() == [4, 2]


@given(sequences=user_sequences(), length=st.integers(1, 15), data=st.data())
def test_histories_of_every_feature_are_slices_of_the_users_timeline(sequences, length, data):
    timelines = with_second_feature(timelines_of(sequences))
    all_positions = range(len(timelines.items))
    positions = data.draw(st.lists(st.sampled_from(all_positions), max_size=20))
    before = [items[:i] for items in sequences for i in range(len(items))]
    histories = timelines.histories(np.array(positions, np.int64), length)
    expected = [left_padded(before[position], length) for position in positions]
    assert histories[ITEM].tolist() == expected
    # Padding is PAD in every feature, even in one without that id.
    assert histories["genre"].tolist() == [
        [item + 100 if item else PAD for item in row] for row in expected
    ]
    assert histories[ITEM].shape == (len(positions), length)


@given(sequences=user_sequences(), length=st.integers(1, 15), data=st.data())
def test_windows_are_the_last_values_of_any_slice(sequences, length, data):
    timelines = with_second_feature(timelines_of(sequences))
    n = len(timelines.items)
    # Slices may be empty, also at the end of the log.
    drawn = data.draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=10))
    slices = [(min(pair), max(pair)) for pair in drawn]
    starts = np.array([start for start, _ in slices], np.int64)
    ends = np.array([end for _, end in slices], np.int64)
    windows = timelines.windows(starts, ends, length)
    assert windows.keys() == {ITEM, "genre"}
    for name, values in timelines.activities.items():
        expected = [left_padded(values[start:end].tolist(), length) for start, end in slices]
        assert windows[name].tolist() == expected
        assert gather(values, starts, ends, length).tolist() == expected


@given(sequences=user_sequences(), data=st.data())
def test_windows_have_the_features_of_their_users(sequences, data):
    """Starts and ends may have several axes."""
    ages = np.arange(7, 7 + len(sequences), dtype=np.int32)
    timelines = replace(timelines_of(sequences), users={"user_age": ages})
    steps = st.lists(st.sampled_from(range(len(sequences))), min_size=2, max_size=2)
    users = np.array(data.draw(st.lists(steps, min_size=1, max_size=3)))
    starts, ends = timelines.offsets[users], timelines.offsets[users + 1]
    windows = timelines.windows(starts, ends, 3)
    np.testing.assert_array_equal(windows["user_age"], 7 + users)
    assert windows[ITEM].shape == (*users.shape, 3)
    histories = timelines.histories(ends[0] - 1, 3)
    np.testing.assert_array_equal(histories["user_age"], 7 + users[0])


@given(lengths=st.lists(st.integers(0, 3), min_size=1).filter(any))
def test_users_of_maps_positions_to_their_users(lengths):
    timelines = timelines_of([[1] * length for length in lengths])
    expected = [user for user, length in enumerate(lengths) for _ in range(length)]
    assert timelines.users_of(np.arange(sum(lengths))).tolist() == expected


def items_by_user(rows, config: DataConfig = EVERYTHING) -> list[list]:
    """Prepare a log and return the raw items of each user."""
    dataset = prepare(log_of(rows), config, seed=0)
    timelines, values = dataset.timelines, dataset.vocabulary.values.to_list()
    raw = [values[i - 1] for i in timelines.items]
    ends = timelines.offsets.tolist()
    return [raw[start:end] for start, end in pairwise(ends)]


@given(
    rows=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(0, 2)), max_size=30)
)
def test_timelines_are_sorted_by_time_and_ties_keep_the_order_of_the_file(rows):
    # The first user has enough activities for every part of the split.
    rows = [*rows, (0, 1, 2), (0, 2, 1), (0, 3, 0), (0, 4, 1)]
    users = sorted({user for user, _, _ in rows})
    expected = [
        [item for _, item, _ in sorted((r for r in rows if r[0] == user), key=lambda r: r[2])]
        for user in users
    ]
    assert expected[0] == [3, 2, 4, 1]
    assert items_by_user(rows) == expected


def test_a_long_log_of_equal_times_keeps_the_order_of_the_file():
    """The log is long, since unstable sorts agree with stable ones on short arrays."""
    items = np.random.default_rng(0).permutation(20_000).tolist()
    rows = [(item % 2, item, 7) for item in items]
    expected = [[item for item in items if item % 2 == user] for user in (0, 1)]
    assert items_by_user(rows) == expected


def test_times_may_be_fractions():
    assert items_by_user([(0, 1, 0.75), (0, 2, 0.25), (0, 3, 0.5)]) == [[2, 3, 1]]


def test_the_catalogue_is_in_id_order_with_null_for_unknown_values():
    log = log_of([(0, 7, 1), (0, 5, 2), (0, 7, 3), (0, 5, 4), (0, 9, 5)])
    items = pl.DataFrame(
        # 8 is in the item table but not in the log, so that it has no id.
        {"item": [5, 8, 7], "title": ["five", "eight", "seven"], "genres": [["odd"], [], None]}
        | {"year": [1995, 1998, None]},
        schema_overrides={"year": pl.Int32},
    )
    dataset = prepare(Interactions(log.log, items), EVERYTHING, seed=0)
    # The training targets are 7, 5, 7: two, one and none of 7, 5 and 9.
    assert dataset.catalogue.select("item", "title", "year").rows() == [
        (7, "seven", None),
        (5, "five", 1995),
        (9, None, None),
    ]
    assert dataset.schema(8) == Schema(3, 8)
    assert dataset.timelines.items.tolist() == [1, 2, 1, 2, 3]
    assert dataset.vocabulary.counts.tolist() == [0, 2, 1, 0]


def test_prepare_applies_the_filters():
    rows = [(0, item, item) for item in (1, 2, 3)] + [(1, item, item) for item in (1, 2, 3, 4)]
    config = DataConfig(
        filters=FilterConfig(min_item_interactions=2, min_user_interactions=3),
    )
    assert items_by_user(rows, config) == [[1, 2, 3], [1, 2, 3]]
