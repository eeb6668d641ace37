"""Periods: cuts in time, their targets, and the log that is known at their start."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxrec.data.dataset import make_dataset
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.ordered import OrderedLog, order_log, select_rows
from jaxrec.data.periods import (
    format_time,
    last_periods,
    log_of_period,
    parse_duration,
    period_targets,
)
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.splits import Period, split_at_period
from jaxrec.errors import UserError
from tests.small_data import data_config, log_of, timelines_of

DAY = 86_400
# 2024-05-01, a Wednesday.
MAY = 1_714_521_600
EVERYTHING = FilterConfig(min_item_interactions=1, min_user_interactions=1)

times_of_users = st.lists(
    st.lists(st.integers(0, 30), min_size=1, max_size=12).map(sorted), min_size=1, max_size=8
)


def ordered(rows: list[tuple], ticks: int | None = 1) -> OrderedLog:
    interactions = log_of(rows)
    log = order_log(interactions, EVERYTHING)
    return OrderedLog(**{**vars(log), "ticks_per_second": ticks})


def daily_log(days: int = 20) -> OrderedLog:
    """Return a log of one user with an activity at noon of each day from 2024-05-01."""
    return ordered([("u", day % 5, MAY + day * DAY + DAY // 2) for day in range(days)])


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 12 * 3600), ("1d", DAY), ("7d", 7 * DAY), ("2w", 14 * DAY)]
)
def test_durations_are_hours_days_or_weeks(text, seconds):
    assert parse_duration(text, "--every") == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5d", "7 d", "1m", "7days"])
def test_other_durations_are_refused_in_one_line(text):
    with pytest.raises(UserError, match=r"--every=.* give hours, days or weeks: 12h, 7d, 2w"):
        parse_duration(text, "--every")


def test_the_last_period_ends_just_after_the_last_activity():
    periods = last_periods(daily_log(), data_config(), every="2d", count=3, until=None)
    end = MAY + 19 * DAY + DAY // 2 + 1
    assert periods == [
        Period(end - 6 * DAY, end - 4 * DAY),
        Period(end - 4 * DAY, end - 2 * DAY),
        Period(end - 2 * DAY, end),
    ]


@pytest.mark.parametrize("until", ["2024-05-11", str(MAY + 10 * DAY), "2024-05-11T02:00+02:00"])
def test_until_is_a_date_or_a_number_in_the_unit_of_the_log(until):
    log = daily_log()
    periods = last_periods(log, data_config(), every="24h", count=2, until=until)
    assert periods == [
        Period(MAY + 8 * DAY, MAY + 9 * DAY),
        Period(MAY + 9 * DAY, MAY + 10 * DAY),
    ]
    # The activities of May 9 and May 10, which are the ninth and the tenth.
    found = period_targets(log, periods, np.ones(20, bool))
    assert [each.tolist() for each in found] == [[8], [9]]


def test_times_may_have_another_unit():
    rows = [("u", day % 5, 1000 * (MAY + day * DAY)) for day in range(10)]
    periods = last_periods(
        ordered(rows, 1000), data_config(), every="1d", count=2, until="2024-05-10"
    )
    assert [format_time(each.start, 1000) for each in periods] == ["2024-05-08", "2024-05-09"]
    assert format_time(1000 * MAY + 3_601_000, 1000) == "2024-05-01T01:00:01"


def test_the_first_activity_of_a_user_is_no_target():
    rows = [("old", 1, 0), ("old", 2, 5), ("old", 1, 9), ("new", 1, 6), ("new", 2, 7)]
    log = ordered(rows)
    # Sorted by user: new 6, new 7, old 0, old 5, old 9.
    (found,) = period_targets(log, [Period(5, 9)], np.ones(5, bool))
    assert found.tolist() == [1, 3]
    (found,) = period_targets(log, [Period(5, 9)], np.array([True, False, True, True, True]))
    assert found.tolist() == [3]


def test_periods_without_targets_are_named():
    rows = [("u", 1, MAY), ("u", 2, MAY + DAY), ("u", 1, MAY + 4 * DAY)]
    log = ordered(rows)
    periods = [Period(MAY + day * DAY, MAY + (day + 1) * DAY) for day in range(1, 5)]
    with pytest.raises(UserError) as error:
        period_targets(log, periods, np.ones(3, bool))
    assert str(error.value) == (
        "2 of 4 periods have no targets: 2024-05-03 to 2024-05-04, 2024-05-04 to 2024-05-05; give "
        "a longer --every, fewer --weeks, or another --until"
    )


@pytest.mark.parametrize(
    ("log", "settings", "message"),
    [
        (daily_log(), {"every": "7d", "count": 3}, "nothing precedes the first of 3 periods of 7d"),
        (daily_log(), {"every": "99999w", "count": 90}, "which begins at -5441429361599: the log"),
        (daily_log(), {"until": "soon"}, "--until=soon is no time; give a number or an ISO date"),
        (daily_log(), {"until": "2024-05-02"}, "nothing precedes the first of 2 periods"),
        (ordered([("u", 1, 0), ("u", 2, 1)], None), {}, "those of the log, from 0 to 1, may be"),
        (
            ordered([("u", 1, MAY), ("u", 2, MAY), ("v", 2, MAY + 30 * DAY)]),
            {},
            "all activities of each user have the same time",
        ),
    ],
)
def test_logs_that_cannot_be_cut_are_refused_in_one_line(log, settings, message):
    settings = {"every": "1d", "count": 2, "until": None} | settings
    with pytest.raises(UserError, match=message) as error:
        last_periods(log, data_config(), **settings)
    assert "\n" not in str(error.value)


def test_a_log_without_times_is_refused():
    with pytest.raises(UserError, match=r"--log\.time=none says that the log has none"):
        config = data_config(log=LogConfig(time="none"))
        last_periods(daily_log(), config, every="1d", count=2, until=None)


def test_a_split_at_a_period_by_hand():
    # Users: active before and in the period; too short before it; new; only after it.
    times = [[0, 1, 5, 6, 9], [2, 7], [6, 8], [9, 10]]
    timelines = timelines_of([[1] * len(each) for each in times], times)
    split = split_at_period(timelines, Period(5, 9), min_interactions=2)
    assert np.flatnonzero(split.is_training_target).tolist() == [0, 1]
    assert split.training_ends.tolist() == [2, 5, 7, 9]
    assert split.validation.tolist() == [1]
    assert split.test.tolist() == [2, 3, 6, 8]


@given(times=times_of_users, start=st.integers(1, 30), length=st.integers(1, 30))
def test_no_target_of_a_period_is_trained_on_and_its_history_precedes_it(times, start, length):
    timelines = timelines_of([[1] * len(each) for each in times], times)
    period = Period(start, start + length)
    try:
        split = split_at_period(timelines, period)
    except UserError:
        assume(False)
        raise
    clock, owners = timelines.timestamps, timelines.users_of(np.arange(len(timelines.items)))
    np.testing.assert_array_equal(split.is_training_target, clock < start)
    assert not split.is_training_target[split.test].any()
    for position in split.test.tolist():
        assert start <= clock[position] < start + length
        assert owners[position - 1] == owners[position]
        assert clock[position - 1] <= clock[position]
    # Training histories end where the period begins.
    for user, end in enumerate(split.training_ends.tolist()):
        assert (clock[timelines.offsets[user] : end] < start).all()


@given(times=times_of_users, start=st.integers(1, 30))
def test_the_log_of_a_period_has_the_items_that_are_frequent_before_it(times, start):
    rows = [(user, t % 4, t) for user, user_times in enumerate(times) for t in user_times]
    log, filters = ordered(rows), FilterConfig(min_item_interactions=2)
    counts = {item: sum(i == item and t < start for _, i, t in rows) for item in range(4)}
    known = {item for item, count in counts.items() if count >= 2}
    assume(len(known) >= 2)
    selected = log_of_period(log, Period(start, start + 5), filters)
    assert set(selected.catalogue["item"]) == known
    items = selected.catalogue["item"].to_numpy()[selected.items - 1]
    users = np.repeat(selected.users["user"].to_numpy(), np.diff(selected.offsets))
    found = sorted(zip(users.tolist(), items.tolist(), selected.timestamps.tolist(), strict=True))
    assert found == sorted(row for row in rows if row[2] < start + 5 and row[1] in known)
    assert len(rows) == len(found) + sum(selected.dropped.values())


def test_too_few_items_before_a_period_are_an_error():
    with pytest.raises(UserError, match="1 items have --min-item-interactions=2 before 2024-05-07"):
        log_of_period(daily_log(), Period(MAY + 6 * DAY, MAY + 7 * DAY), FilterConfig(2))


def test_selected_rows_keep_their_order_and_their_columns():
    rows = [("b", "x", 1, 5.0), ("a", "y", 2, 4.0), ("a", "x", 3, 3.0), ("c", "y", 4, 2.0)]
    log = order_log(log_of(rows, ("user", "item", "timestamp", "rating")), EVERYTHING)
    # Items x, y have the numbers 1, 2. Ordered: a y, a x, b x, c y.
    selected = select_rows(log, np.array([True, True, False, True]), np.array([2, 1]))
    assert selected.catalogue["item"].to_list() == ["y", "x"]
    assert selected.items.tolist() == [1, 2, 1]
    assert selected.users["user"].to_list() == ["a", "c"]
    assert selected.offsets.tolist() == [0, 2, 3]
    assert selected.columns["rating"].to_list() == [4.0, 3.0, 2.0]
    only_x = select_rows(log, np.ones(4, bool), np.array([1]))
    assert (only_x.users["user"].to_list(), only_x.timestamps.tolist()) == (["a", "b"], [3, 1])


def test_a_dataset_of_a_period_ranks_its_targets_by_what_was_known():
    rows = [(user, item, 10 * item + user) for user in range(4) for item in range(6)]
    rows += [(0, "new", 70), (0, 3, 71)]
    log = ordered([(user, str(item), time) for user, item, time in rows])
    config, period = data_config(min_item_interactions=2), Period(50, 80)
    selected = log_of_period(log, period, config.filters)
    dataset = make_dataset(selected, config, seed=0, period=period)
    assert sorted(dataset.vocabulary.values) == ["0", "1", "2", "3", "4"]
    assert dataset.split.is_training_target.sum() == 20
    # The targets of item 5 and "new" are unknown, so that of item 3 alone remains.
    assert dataset.split.test.tolist() == [5]


def test_times_beyond_the_calendar_stay_numbers():
    assert format_time(10**14, 1) == "100000000000000"
    assert format_time(1e300, 1000) == "1e+300"
