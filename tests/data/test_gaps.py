"""Time gaps to the next activity: equal from a log and from the ages on a device."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.gaps import GAP_EDGES, MAX_GAP, gap_ids, gap_ids_from_ages, whole_seconds
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.data.timelines import Timelines
from jaxrec.schema import AGE, ITEM, PAD, UNKNOWN_AGE
from tests.small_data import left_padded, log_of

INT32 = np.iinfo(np.int32)
INT64 = np.iinfo(np.int64)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 3),
        (4, 4),
        (7, 4),
        (8, 5),
        (60, 7),
        (86_400, 18),
        (2**29, 31),
        (MAX_GAP, 0),
        (-1, 0),
        (INT64.max, 0),
        (INT64.min, 0),
    ],
)
def test_the_bucket_of_a_gap(seconds, bucket):
    assert gap_ids(np.array(seconds)) == bucket
    assert bucket <= len(GAP_EDGES) == 31


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        # float32 represents every integer up to 2 ** 24, and from there every second one.
        (2**24 - 1, 25),
        (2**24, 26),
        (2**25 - 2, 26),
        (2**25 - 1, 27),
        (2**26 - 2, 28),
        (2**26 - 3, 27),
        # Above 2 ** 29 every 64th: from here the next one is 2 ** 30, which is too long.
        (MAX_GAP - 33, 31),
        (MAX_GAP - 32, 0),
    ],
)
def test_a_gap_is_rounded_as_on_a_device(seconds, bucket):
    assert gap_ids(np.array(seconds)) == bucket


@given(st.lists(st.integers(-5, 5) | st.integers(INT32.min, INT64.max), min_size=1))
def test_a_bucket_is_the_number_of_bits_of_a_gap(seconds):
    rounded = [int(np.float32(each)) for each in seconds]
    expected = [1 + each.bit_length() if 0 <= each < MAX_GAP else 0 for each in rounded]
    assert gap_ids(np.array(seconds, np.int64)).tolist() == expected


def test_the_last_gap_of_a_history_ends_now():
    ages = np.array(
        [
            [UNKNOWN_AGE, UNKNOWN_AGE, 70, 10],
            [MAX_GAP - 64, 5, 5, 0],
            # A clock that was set back, and an activity of unknown time.
            [10, 20, -7, 4],
            [MAX_GAP, 2, INT32.max, INT32.min],
        ],
        np.int32,
    )
    assert gap_ids_from_ages(ages).tolist() == [
        [0, 0, 7, 5],
        [31, 1, 4, 1],
        [0, 0, 0, 4],
        [0, 0, 0, 0],
    ]


UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
TIMED = DataConfig(
    filters=FilterConfig(min_item_interactions=1, min_user_interactions=1), time_gaps=True
)


def timed(log: Interactions, ticks_per_second: int, config: DataConfig = TIMED) -> Timelines:
    known = Interactions(log.log, log.items, ticks_per_second=ticks_per_second)
    return prepare(known, config, seed=0).timelines


# In seconds, up to 40 years; a gap of more than 34 years is unknown.
steps = st.integers(0, 3) | st.integers(0, 40 * 31_556_952) | st.sampled_from([MAX_GAP, 2**25 - 1])
clocks = st.lists(st.lists(steps, min_size=3, max_size=8), min_size=1, max_size=4).map(
    # This timeline ensures that not all gaps are equal.
    lambda others: [[0, 0, 5], *others]
)


@given(clocks=clocks, unit=st.sampled_from([*UNITS, "float seconds"]), data=st.data())
def test_gaps_from_ages_equal_those_of_training(clocks, unit, data):
    ticks = UNITS.get(unit, 1)
    rows = []
    for user, waits in enumerate(clocks):
        for item, second in enumerate(np.cumsum(waits).tolist()):
            if unit == "float seconds":
                time = second + data.draw(st.sampled_from([0.0, 0.25, 0.999]))
            else:
                time = second * ticks + data.draw(st.integers(0, ticks - 1))
            rows.append((user, item, time))
    timelines = timed(log_of(rows), ticks)
    positions = np.arange(len(timelines.items))
    length = data.draw(st.integers(1, 9))
    histories, ages = timelines.histories(positions, length), timelines.ages(positions, length)
    np.testing.assert_array_equal(ages[histories[ITEM] == PAD], UNKNOWN_AGE)
    found = gap_ids_from_ages(ages)
    # An activity whose age is unknown has an unknown gap, even if the gap is short.
    is_known = ages != UNKNOWN_AGE
    np.testing.assert_array_equal(found, np.where(is_known, histories[AGE], 0))
    np.testing.assert_array_equal(is_known, (ages >= 0) & (ages < MAX_GAP))


@given(clocks=clocks)
def test_ages_and_gaps_by_plain_python(clocks):
    times = [np.cumsum(waits).tolist() for waits in clocks]
    rows = [
        (user, n, time)
        for user, times_of_user in enumerate(times)
        for n, time in enumerate(times_of_user)
    ]
    timelines = timed(log_of(rows), 1)
    expected = [
        [now - then if now - then < MAX_GAP else UNKNOWN_AGE for then in times_of_user[:position]]
        for times_of_user in times
        for position, now in enumerate(times_of_user)
    ]
    ages = timelines.ages(np.arange(len(rows)), 4)
    missing = [4 - min(len(each), 4) for each in expected]
    for row, count, expected_ages in zip(ages.tolist(), missing, expected, strict=True):
        assert row == [UNKNOWN_AGE] * count + left_padded(expected_ages, 4 - count)
    gaps = [[*(b - a for a, b in pairwise(times_of_user)), -1] for times_of_user in times]
    flat = np.array([gap for times_of_user in gaps for gap in times_of_user])
    np.testing.assert_array_equal(timelines.activities[AGE], gap_ids(flat))


def test_no_gap_crosses_timelines():
    """The last time of the first user is the first time of the second."""
    rows = [(0, 1, 5), (0, 2, 6), (0, 3, 8), (1, 1, 8), (1, 2, 12), (1, 3, 12)]
    timelines = timed(log_of(rows), 1)
    assert timelines.activities[AGE].tolist() == [2, 3, 0, 4, 1, 0]


def test_gaps_skip_dropped_activities():
    """A device ignores unknown items in the same way."""
    rows = [(user, item, item) for user in range(3) for item in (0, 4, 64)]
    rare = [(0, 99, 2)]
    config = DataConfig(
        filters=FilterConfig(min_item_interactions=2, min_user_interactions=1), time_gaps=True
    )
    timelines = timed(log_of([*rows, *rare]), 1, config)
    assert timelines.activities[AGE].tolist() == [4, 7, 0] * 3


def test_times_are_floored_to_whole_seconds():
    assert whole_seconds(np.array([999, 1000, 1999, -1]), 1000).tolist() == [0, 1, 1, -1]
    assert whole_seconds(np.array([0.9, 1.0, -0.1]), 1).tolist() == [0, 1, -1]
    nanoseconds = np.array([1_700_000_000_000_000_001, 1_699_999_999_999_999_999])
    assert whole_seconds(nanoseconds, 10**9).tolist() == [1_700_000_000, 1_699_999_999]
