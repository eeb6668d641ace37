"""Activity, user and moment features: their ids, and the notes about them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.errors import UserError
from jaxrec.schema import AGE, ITEM, PAD, Feature
from tests.small_data import log_of

UNFILTERED = DataConfig(
    filters=FilterConfig(min_item_interactions=1, min_user_interactions=1), history_length=2
)

COLUMN_NAMES = ("user", "item", "timestamp", "rating", "device")
ROWS = [
    ("b", 1, 30, 5.0, "phone"),
    ("a", 2, 10, None, "phone"),
    ("b", 2, 20, 1.0, "tv"),
    ("a", 1, 40, 5.0, None),
    ("b", 3, 90, 2.0, "phone"),
    ("a", 3, 44, 2.0, "phone"),
    *(("c", item, 5, None, None) for item in (1, 2, 3)),
]
USERS = pl.DataFrame({"user": ["b", "a", "c"], "sex": ["f", "m", "m"], "age": [None, 30.0, 30.0]})


def sample_log(**changes) -> Interactions:
    log = log_of(ROWS, COLUMN_NAMES)
    return replace(log, **{"users": USERS, "ticks_per_second": 1} | changes)


def prepared(interactions: Interactions, **flags) -> Dataset:
    return prepare(interactions, replace(UNFILTERED, **flags), seed=0)


def test_feature_ids_follow_the_order_of_the_timelines():
    dataset = prepared(
        sample_log(), activity_features="device,rating", time_gaps=True, user_features="sex"
    )
    device = Feature("device", "activity", "id", 2, ("phone", "tv"))
    rating = Feature("rating", "activity", "id", 3, (1, 2, 5))
    sex = Feature("user_sex", "user", "id", 2, ("m", "f"))
    assert dataset.features == (device, rating, Feature(AGE, "activity", "age", 31), sex)
    assert dataset.schema(8).features == dataset.features
    timelines = dataset.timelines
    # User a: 10, 40, 44; user b: 20, 30, 90; user c: 5, 5, 5.
    assert list(timelines.activities) == [ITEM, "device", "rating", AGE]
    assert timelines.activities["device"].tolist() == [1, 0, 1, 2, 1, 1, 0, 0, 0]
    assert timelines.activities["rating"].tolist() == [0, 3, 2, 1, 3, 2, 0, 0, 0]
    assert timelines.activities[AGE].tolist() == [6, 4, 0, 5, 7, 0, 1, 1, 0]
    assert timelines.users["user_sex"].tolist() == [1, 2, 1]
    windows = timelines.histories(dataset.split.test, 2)
    assert windows["device"].tolist() == [[1, 0], [2, 1], [0, 0]]
    assert windows["user_sex"].tolist() == [1, 2, 1]


def test_moment_features_are_those_of_the_target_in_the_time_zone_of_the_users():
    """Check hours and weekdays in Berlin, where midnight is 22:00 or 23:00 UTC."""
    wednesday = 1_714_600_800  # 2024-05-01T22:00:00Z
    times = [wednesday - 86_400 * 90, wednesday - 1, wednesday, wednesday + 3600 * 5]
    log = replace(log_of([("a", item, at) for item, at in enumerate(times)]), ticks_per_second=1)
    dataset = prepared(log, time_features="weekday,hour", time_zone="Europe/Berlin")
    hour, weekday = dataset.features
    assert (hour.name, hour.of, hour.values) == ("hour", "moment", tuple(range(24)))
    assert (weekday.name, weekday.values) == ("weekday", (1, 2, 3, 4, 5, 6, 7))
    # 2024-02-01 23:00, a Thursday; 2024-05-01 23:59:59, a Wednesday; Thursday 0:00 and 5:00.
    moments = dataset.timelines.moments
    assert [hour.values[each - 1] for each in moments["hour"]] == [23, 23, 0, 5]
    assert [weekday.values[each - 1] for each in moments["weekday"]] == [4, 3, 4, 4]
    # Each activity of a window carries the moment of the next one.
    starts, ends = np.array([0]), np.array([3])
    window = dataset.timelines.windows(starts, ends, 4)
    assert window["weekday"].tolist() == [[4, 3, 4, 4]] and window[ITEM][0, 0] == PAD
    assert dataset.timelines.histories(np.array([1, 3]), 4)["hour"].tolist() == [24, 6]
    assert dataset.log_summary.notes[:2] == (
        "--time-features=hour: times are read as seconds",
        "--time-features=weekday: times are read as seconds",
    )


def test_without_feature_flags_timelines_hold_only_items():
    dataset = prepared(sample_log())
    assert dataset.features == ()
    assert list(dataset.timelines.activities) == [ITEM]
    assert dataset.timelines.users == {}


def test_values_of_filtered_users_are_dropped():
    log = log_of([*ROWS, ("d", 1, 7, 1.0, "tv")], COLUMN_NAMES).log
    users = pl.DataFrame({"user": [*"dcba"], "sex": [*"xfmm"]})
    filters = FilterConfig(min_item_interactions=1, min_user_interactions=2)
    dataset = prepared(sample_log(log=log, users=users), user_features="sex", filters=filters)
    (sex,) = dataset.features
    assert (sex.values, dataset.timelines.users[sex.name].tolist()) == (("m", "f"), [1, 1, 2])


def test_notes_summarize_the_features():
    dataset = prepared(
        sample_log(), activity_features="device,rating", time_gaps=True, user_features="sex"
    )
    assert dataset.log_summary.notes[:4] == (
        "device: 2 strings, unknown for 4 of 9 activities",
        "rating: 3 numbers, unknown for 4 of 9 activities",
        "--time-gaps: times are read as seconds",
        "user_sex: 2 strings, unknown for 0 of 3 users",
    )


def test_notes_mention_buckets():
    prices = [price / 10 for price in range(100)]
    rows = [(n % 2, n, n**2, price) for n, price in enumerate(prices)]
    log = log_of(rows, ("user", "item", "timestamp", "price"))
    dataset = prepared(log, activity_features="price")
    note = "price: 16 buckets of numbers, unknown for 0 of 100 activities"
    assert dataset.log_summary.notes[0] == note


@pytest.mark.parametrize(
    ("ticks", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**9, "nanoseconds")]
)
def test_notes_mention_the_time_unit(ticks, unit):
    rows = [(user, item, 10**9 * ticks + item**2 * ticks) for user in (0, 1) for item in range(4)]
    dataset = prepared(replace(log_of(rows), ticks_per_second=ticks), time_gaps=True)
    assert dataset.log_summary.notes[0] == f"--time-gaps: times are read as {unit}"
    assert dataset.timelines.activities[AGE].tolist() == [2, 3, 4, 0] * 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"activity_features": "mood"}, "unknown column 'mood'; available: rating, device"),
        ({"user_features": "mood"}, "--user-features: unknown column 'mood'; available: sex, age"),
        ({"user_features": "age"}, "--user-features: age has the same value in all rows"),
    ],
)
def test_missing_or_constant_columns_are_rejected(flags, message):
    with pytest.raises(UserError, match=message):
        prepared(sample_log(), **flags)
