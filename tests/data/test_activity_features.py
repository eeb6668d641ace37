"""Activity, user and moment features: encoding as ids, and one-line errors."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.cli import train as one_run
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig, Interactions
from jaxrec.errors import UserError
from jaxrec.schema import AGE, ITEM, PAD, Feature
from tests.data.sources.test_malformed_tables import COLUMNS, HOSTILE, LENIENT, ends_well, texts
from tests.exports import call
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
    dataset = prepared(log, moment="weekday,hour", time_zone="Europe/Berlin")
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
        "--moment=hour: times are read as seconds",
        "--moment=weekday: times are read as seconds",
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


LOG_COLUMNS = "customer,item,bought,stars,one,row,place,gone,user_sex,age,1st\n"
LOG = LOG_COLUMNS + "".join(
    f"{user},i{(user + step) % 7},{1_600_000_000 + step**2},{step % 5 + 1},x,{6 * user + step},"
    f"{step % 2},,{step % 2},{step % 3},{step}\n"
    for user in range(20)
    for step in range(6)
)
USER_ROWS = "customer,sex,one,name\n" + "".join(f"{u},{'fm'[u % 2]},x,n{u}\n" for u in range(20))
LOG_ARGS = ["--dataset=log.csv", "--log.user=customer", "--log.time=bought"]
USER_CSV = ["--users=users.csv", "--user-features=sex"]
SMALL = ["--synthetic.users=90", "--synthetic.items=50"]
FILES = {
    "log.csv": LOG,
    "users.csv": USER_ROWS,
    "few.csv": "\n".join(USER_ROWS.splitlines()[:15]),
    "twice.csv": USER_ROWS + "3,f,x,again\n",
    "strangers.csv": USER_ROWS.replace("\n", "\nu", 20),
    "days.csv": LOG.replace(",16000000", ",2020-01-01T00:00:"),
    "fine.csv": re.sub(r",16000000\d\d", r"\g<0>000", LOG),
}


def with_log(*flags: str) -> list[str]:
    return [*LOG_ARGS, *flags]


MISTAKES = {
    "no such column": (with_log("--activity-features=mood"), "log.csv has no column 'mood', only"),
    "one value": (
        with_log("--activity-features=one"),
        "--activity-features: one has the same value",
    ),
    "no value": (with_log("--activity-features=gone"), "gone has no values"),
    "an id of rows": (with_log("--activity-features=row"), "row is different in each of 120 rows"),
    "twice": (
        with_log("--activity-features=stars,stars"),
        "'stars' is empty, repeated or reserved",
    ),
    "the item": (with_log("--activity-features=item"), "'item' is empty, repeated or reserved"),
    "the user": (
        with_log("--activity-features=customer"),
        "--log.user and --activity-features both name the column 'customer'; omit it",
    ),
    "the time": (
        with_log("--activity-features=bought"),
        "--log.time and --activity-features both name the column 'bought'",
    ),
    "no name of an input": (with_log("--activity-features=1st"), "'1st' cannot be the name of an"),
    "a keyword of Python": (with_log("--activity-features=class"), "not a keyword"),
    "self": (with_log("--activity-features=self"), "'self' cannot be the name of an input"),
    "history": (with_log("--activity-features=History"), "another input is named 'History'"),
    "capitals alone": (
        with_log("--activity-features=stars,Stars"),
        "another input is named 'Stars'",
    ),
    "capitals of users alone": (
        with_log("--user-features=sex,Sex"),
        "another input is named 'Sex'",
    ),
    "age and time": (
        with_log("--activity-features=age", "--time-gaps"),
        "another input is named 'age'",
    ),
    "of activities as of users": (
        with_log("--activity-features=user_sex", *USER_CSV),
        "another input is named 'user_sex'",
    ),
    "no table of users": (with_log("--user-features=sex"), "--user-features needs --users"),
    "a table for nothing": (
        with_log("--users=users.csv"),
        "--users=users.csv needs --user-features",
    ),
    "a key for nothing": (
        with_log("--user-table.key=sex"),
        "--user-table.key=sex needs --users=FILE",
    ),
    "no such column of users": (
        with_log("--users=users.csv", "--user-features=mood"),
        "users.csv has no column 'mood', only 'customer', 'sex', 'one', 'name'",
    ),
    "users of one value": (
        with_log("--users=users.csv", "--user-features=one"),
        "--user-features: one has the same value in all rows",
    ),
    "an id of users": (
        with_log("--users=users.csv", "--user-features=name"),
        "--user-features: name is different in each of 20 rows, as an id is",
    ),
    "users that are missed": (
        with_log("--users=few.csv", "--user-features=sex"),
        "few.csv lacks 6 of 20 users of the log, such as 14; add them",
    ),
    "a user twice": (
        with_log("--users=twice.csv", "--user-features=sex"),
        "twice.csv, line 22: user 3 is in an earlier row too",
    ),
    "other ids": (
        with_log("--users=strangers.csv", "--user-features=sex"),
        "strangers.csv lacks 20 of 20 users of the log, such as 0; .* whose first value is 'u0'",
    ),
    "no such key": (
        with_log(*USER_CSV, "--user-table.key=id"),
        "has no column 'id', .* --user-table.key",
    ),
    "no file": (
        with_log("--users=x.csv", "--user-features=sex"),
        "x.csv is not a file; give --users",
    ),
    "places as times": (
        [*LOG_ARGS[:2], "--log.time=row", "--time-gaps"],
        "--time-gaps: times from 0 to 119 are not seconds, milli-, micro- or nanoseconds since",
    ),
    "a moment of places": (
        [*LOG_ARGS[:2], "--log.time=row", "--moment=hour"],
        "--moment needs times that are dates, or seconds",
    ),
    "no such moment": (
        with_log("--moment=hour,year"),
        "'year' is unknown or repeated; give hour, weekday, each once",
    ),
    "no such zone": (
        with_log("--moment=hour", "--time-zone=Mars"),
        "--time-zone=Mars is unknown; give a name such as Europe/Berlin",
    ),
    "a zone of nothing": (
        with_log("--time-zone=Europe/Berlin"),
        "--time-zone=Europe/Berlin needs --moment",
    ),
    "no times": (
        [*LOG_ARGS[:2], "--log.time=none", "--time-gaps"],
        "--time-gaps and --log.time=none exclude each other; omit one of them",
    ),
    "a unit of no times": (
        [*LOG_ARGS[:2], "--log.time=none", "--log.time-unit=seconds"],
        "--log.time-unit=seconds and --log.time=none exclude each other",
    ),
    "a unit of dates": (
        ["--dataset=days.csv", *LOG_ARGS[1:], "--time-gaps", "--log.time-unit=seconds"],
        "--log.time-unit=seconds is for numbers, and column 'bought' of days.csv has dates",
    ),
    "a unit too fine": (
        with_log("--time-gaps", "--log.time-unit=nanoseconds"),
        "--time-gaps: all gaps between a user's activities are equal",
    ),
    "a unit too coarse": (
        ["--dataset=fine.csv", *LOG_ARGS[1:], "--log.time-unit=seconds"],
        "--log.time-unit=seconds makes the times of fine.csv reach 1600000025000 seconds, which",
    ),
    "MovieLens without users": (
        ["--dataset=ml-20m", "--data-dir=.", "--user-features=age"],
        "ml-20m does not describe its users; omit --user-features",
    ),
    "a table beside MovieLens": (
        ["--dataset=ml-1m", *USER_CSV],
        "--users=users.csv needs --dataset=FILE",
    ),
    "no such feature of the synthetic": (
        [*SMALL, "--user-features=age"],
        "--user-features: unknown column 'age'; available: favourite",
    ),
    "nothing but ratings": (
        [*SMALL, "--activity-features=price"],
        "unknown column 'price'; available: rating",
    ),
    "a table beside the synthetic": (
        USER_CSV,
        "--users=users.csv needs --dataset=FILE",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line_before_training(tmp_path, mistake):
    flags, said = MISTAKES[mistake]
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for more in ([], ["--dry-run"]):
        process = call(one_run.main, *flags, *more, cwd=tmp_path)
        assert process.returncode == 2, process.stdout
        (line,) = process.stderr.splitlines()
        assert line.startswith("error: ") and re.search(said, line), line
        assert process.stdout == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == FILES


def test_a_dry_run_reports_accepted_features(tmp_path):
    """Check ratings by their column name or as `rating`, dates, and the detected time unit."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for flags, notes in (
        (with_log("--activity-features=stars", "--log.rating=stars"), ["stars: 5 numbers"]),
        (with_log("--activity-features=rating", "--log.rating=stars"), ["rating: 5 numbers"]),
        (
            ["--dataset=days.csv", *LOG_ARGS[1:], "--time-gaps"],
            ["--time-gaps: times are read as seconds"],
        ),
        (
            ["--dataset=fine.csv", *LOG_ARGS[1:], "--time-gaps"],
            ["--time-gaps: times are read as milliseconds"],
        ),
        (
            with_log(*USER_CSV, "--time-gaps"),
            ["--time-gaps: times are", "user_sex: 2 strings, unknown for 0"],
        ),
        (
            [*SMALL, "--user-features=favourite"],
            ["user_favourite: 12 strings, unknown for 0 of 90"],
        ),
    ):
        process = call(one_run.main, *flags, "--dry-run", cwd=tmp_path)
        assert process.returncode == 0, process.stderr
        for note in notes:
            assert f"  note: {note}" in process.stdout


@HOSTILE
@given(data=st.data())
def test_a_column_of_arbitrary_values_as_a_feature(tmp_path: Path, capsys, data):
    dtype, values = data.draw(COLUMNS)
    drawn = data.draw(st.lists(st.none() | values, min_size=24, max_size=24))
    column = pl.Series("odd", drawn, dtype=dtype, strict=False)
    log = pl.DataFrame({"user": [*"abcd"] * 6, "item": [*range(3)] * 8, "timestamp": [*range(24)]})
    log.with_columns(column).write_parquet(tmp_path / "log.parquet")
    users = pl.DataFrame({"user": [*"abcd"], "odd": column.head(4)})
    users.write_parquet(tmp_path / "users.parquet")
    flags = [f"--dataset={tmp_path / 'log.parquet'}", *LENIENT]
    ends_well(capsys, [*flags, "--activity-features=odd"])
    ends_well(capsys, [*flags, f"--users={tmp_path / 'users.parquet'}", "--user-features=odd"])


@HOSTILE
@given(
    times=st.lists(
        st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**40), min_size=24, max_size=24
    ),
    is_whole=st.booleans(),
    unit=st.sampled_from(["auto", "seconds", "milliseconds", "microseconds", "nanoseconds"]),
)
def test_arbitrary_times(tmp_path: Path, capsys, times, is_whole, unit):
    log = pl.DataFrame({"user": [*"abcd"] * 6, "item": [*range(3)] * 8, "timestamp": times})
    if not is_whole:
        log = log.cast({"timestamp": pl.Float64})
    log.write_parquet(tmp_path / "log.parquet")
    flags = [f"--dataset={tmp_path / 'log.parquet'}", *LENIENT]
    ends_well(capsys, [*flags, "--time-gaps", f"--log.time-unit={unit}"])


@HOSTILE
@given(data=texts())
def test_arbitrary_user_tables(tmp_path: Path, capsys, data):
    log, users = tmp_path / "log.csv", tmp_path / "users.csv"
    rows = "".join(f"{user},{item},{item}\n" for user in (1, 2, 3) for item in range(4))
    log.write_text("user,item,timestamp\n" + rows)
    users.write_bytes(data)
    flags = [f"--dataset={log}", f"--users={users}", "--user-features=timestamp", *LENIENT]
    ends_well(capsys, flags)
