"""Logs in CSV and Parquet: round trips, column types, and the errors of malformed tables."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError

HEADER = "user,item,timestamp\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def load(path: Path, **columns: Any):
    return load_table(str(path), LogConfig(**columns))


def load_csv(path: Path, text: str, **columns: Any):
    return load(write(path / "log.csv", text), **columns)


def load_parquet(path: Path, **columns: object):
    pl.DataFrame({"user": [1, 2], "item": ["a", "b"], "timestamp": [1, 2]} | columns).write_parquet(
        path / "log.parquet"
    )
    return load(path / "log.parquet")


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
ids = st.one_of(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.lists(texts, min_size=1))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(users=ids, items=ids, data=st.data())
def test_a_table_survives_a_round_trip(tmp_path_factory, suffix, users, items, data):
    height = min(len(users), len(items))
    times = data.draw(
        st.one_of(
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=height, max_size=height),
            st.lists(
                st.floats(allow_nan=False, allow_infinity=False), min_size=height, max_size=height
            ),
        )
    )
    log = pl.DataFrame({"user": users[:height], "item": items[:height], "timestamp": times})
    path = tmp_path_factory.mktemp("table") / f"log{suffix}"
    if suffix == ".csv":
        log.write_csv(path)
        # A CSV has no types: strings that print as integers are integers.
        for name in ("user", "item"):
            integers = log[name].cast(pl.Int64, strict=False)
            if integers.cast(pl.String).eq_missing(log[name].cast(pl.String)).all():
                log = log.with_columns(integers)
    else:
        log.write_parquet(path)
    assert load(path).log.equals(log)


ZONES = st.integers(-839, 839).map(lambda minutes: timezone(timedelta(minutes=minutes)))
LIMITS = datetime(1900, 1, 1), datetime(2200, 1, 1)


@given(
    times=st.lists(
        st.datetimes(*LIMITS) | st.datetimes(*LIMITS, timezones=ZONES), min_size=1, max_size=10
    ),
    separator=st.sampled_from("T "),
)
def test_iso_datetimes_become_seconds(tmp_path_factory, times, separator):
    rows = [f"1,a,{time.isoformat(separator)}\n" for time in times]
    log = load_csv(tmp_path_factory.mktemp("table"), HEADER + "".join(rows)).log
    for seconds, time in zip(log["timestamp"], times, strict=True):
        utc = time if time.tzinfo else time.replace(tzinfo=UTC)
        assert math.isclose(seconds, utc.timestamp(), abs_tol=1e-5)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-01T00:01", 60),
        ("1970-01-01 00:01:00.5", 60.5),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01 00:01:00 UTC", 60),
        ("1970-01-01T02:01:00+02:00", 60),
        ("1970-01-01T02:01:00+0200", 60),
        ("1969-12-31 23:01:00-01", 60),
    ],
)
def test_formats_of_iso_dates(tmp_path, written, seconds):
    log = load_csv(tmp_path, f"{HEADER}1,a,{written}\n2,b,2020-01-01\n").log
    assert log["timestamp"].to_list() == [seconds, 1577836800]
    assert log["timestamp"].dtype == pl.Float64


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1", "2"], [1, 2]),
        (["1", "-2"], [1, -2]),
        (["007", "2"], ["007", "2"]),
        (["+1", "2"], ["+1", "2"]),
        (["1", "2.0"], ["1", "2.0"]),
        (["1", "9223372036854775808"], ["1", "9223372036854775808"]),
        (['"a,b"', '"c\nd"'], ["a,b", "c\nd"]),
    ],
)
def test_types_of_ids_in_a_csv(tmp_path, written, read):
    log = load_csv(tmp_path, HEADER + "".join(f"{user},a,5\n" for user in written)).log
    assert log["user"].to_list() == read


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([date(1970, 1, 2), date(1970, 1, 1)], [86400.0, 0.0]),
        ([datetime(1970, 1, 2), datetime(1969, 12, 31)], [86400.0, -86400.0]),
        ([datetime(1970, 1, 2, tzinfo=timezone(timedelta(hours=2)))] * 2, [79200.0] * 2),
        (["1970-01-02", "1970-01-01T00:00:01"], [86400.0, 1.0]),
        (pl.Series([1, 2], dtype=pl.UInt8), [1, 2]),
        ([1.5, 2.0], [1.5, 2.0]),
    ],
)
def test_types_of_times_in_parquet(tmp_path, times, expected):
    column = load_parquet(tmp_path, timestamp=times).log["timestamp"]
    assert column.to_list() == expected
    assert column.dtype == (pl.Float64 if isinstance(expected[0], float) else pl.Int64)


def test_types_of_ids_in_parquet(tmp_path):
    item = pl.Series(["x", "y"], dtype=pl.Categorical)
    log = load_parquet(tmp_path, user=pl.Series([1, 2], dtype=pl.Int32), item=item).log
    assert log.select("user", "item").rows() == [(1, "x"), (2, "y")]
    assert log.dtypes[:2] == [pl.Int32, pl.String]
    assert load_parquet(tmp_path, user=["1", "2"]).log["user"].to_list() == ["1", "2"]


def test_columns_named_by_flags_and_ratings(tmp_path):
    text = "stars,when,who,what\n4.5,1,u,x\n"
    names = {"user": "who", "item": "what", "time": "when"}
    log = load_csv(tmp_path, text, rating="stars", **names).log
    assert log.to_dicts() == [{"user": "u", "item": "x", "timestamp": 1, "rating": 4.5}]
    assert "rating" not in load_csv(tmp_path, text, **names).log


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        (
            "who,item,timestamp\n1,a,5\n",
            "no column 'user', only 'who', 'item', 'timestamp'.*--log.user",
        ),
        ("user,what,timestamp\n1,a,5\n", "--log.item"),
        ("user,item,when\n1,a,5\n", "--log.time"),
        (HEADER + "1,a,5\n2,b,6,7\n", "line 3: '2,b,6,7' has 4 fields and the first line has 3"),
        (HEADER + "1,a,5\n2,b\n", "line 3: column 'timestamp' is empty"),
        (HEADER + '"x\ny",a,5\n2,,6\n', "line 4: column 'item' is empty.*--log.item"),
        (HEADER + '1,a,5\n"",a,5\n', "line 3: column 'user' is empty.*--log.user"),
        (HEADER + "1,a,5\n\n2,b,6\n", "line 3: column 'user' is empty"),
        (HEADER + '1,a,5\n"2,b,6\n', "line 3: .*quote"),
        (HEADER + '1,a,5\n2,b"c,6\n', "line 3: .*quote"),
        (HEADER + "1,a,5\n2,b,soon\n", "line 3: column 'timestamp' has 'soon'.*--log.time"),
        (HEADER + "1,a,5\n2,b,nan\n", "line 3: column 'timestamp' has 'nan'"),
        (HEADER + "1,a,inf\n", "line 2: column 'timestamp' has 'inf'"),
        (HEADER + "1,a,2020-01-01\n2,b,2020-02-30\n", "line 3: .*'2020-02-30'"),
        (HEADER + "1,a,2020-01-01\n2,b,5\n", "line 3: column 'timestamp' has a number, '5'"),
    ],
)
def test_an_invalid_csv_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        load_csv(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "log.csv"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rating", ["good", "nan", ""])
def test_a_rating_that_is_not_a_number_is_refused(tmp_path, rating):
    text = f"user,item,timestamp,stars\n1,a,5,3\n1,b,6,{rating}\n"
    with pytest.raises(UserError, match=r"line 3: column 'stars' .*--log.rating"):
        load_csv(tmp_path, text, rating="stars")
    with pytest.raises(UserError, match=r"no column 'likes'.*--log.rating"):
        load_csv(tmp_path, text, rating="likes")


def test_a_csv_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "log.csv").write_bytes(f"{HEADER}1,a,5\n2,Fu\xdf,6\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"line 3: .*not UTF-8"):
        load(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": [1, None]}, "row 2: column 'user' is empty.*--log.user"),
        ({"item": ["a", ""]}, "row 2: column 'item' is empty"),
        ({"user": [1.0, math.nan]}, "row 2: column 'user' has 'nan'"),
        ({"user": [[1], [2]]}, "column 'user' has type List"),
        ({"timestamp": [1.0, math.nan]}, "row 2: column 'timestamp' has 'nan'"),
        ({"timestamp": [date(2020, 1, 1), None]}, "row 2: column 'timestamp' is empty"),
        ({"timestamp": [timedelta(1), timedelta(2)]}, "column 'timestamp' has type Duration"),
        ({"timestamp": [True, False]}, "row 1: column 'timestamp' has 'True'"),
    ],
)
def test_an_invalid_parquet_file_is_refused(tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        load_parquet(tmp_path, **columns)


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"log\.csv is not a file; give --dataset"):
        load(tmp_path / "log.csv")
    with pytest.raises(UserError, match=r"log\.xlsx has an unknown format; give --dataset"):
        load(write(tmp_path / "log.xlsx", HEADER))
    with pytest.raises(UserError, match=r"log\.parquet cannot be read"):
        load(write(tmp_path / "log.parquet", "no Parquet file"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_incomplete_rows_are_dropped_on_request(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    table = pl.DataFrame(
        {
            "user": ["1", None, "1", "2", "3"],
            "item": ["a", "b", "", "d", "e"],
            "timestamp": [5.0, 6.0, 7.0, None, 9.0],
            "stars": [5.0, 4.0, 3.0, 2.0, None],
        }
    )
    writers = {
        ".csv": table.write_csv,
        ".parquet": table.write_parquet,
        ".jsonl": table.write_ndjson,
    }
    writers[suffix](path)
    with pytest.raises(UserError, match=r"--log.drop-incomplete drops such rows"):
        load(path)
    kept = load(path, drop_incomplete=True)
    assert kept.log["item"].to_list() == ["a", "e"]
    assert kept.dropped == {"--log.drop-incomplete": 3}
    assert kept.rows == 5
    rated = load(path, drop_incomplete=True, rating="stars")
    assert rated.log["item"].to_list() == ["a"]


def test_invalid_rows_are_refused_with_drop_incomplete(tmp_path):
    text = HEADER + "1,a,5\n1,,5\n1,b,soon\n"
    with pytest.raises(UserError, match=r"line 4: column 'timestamp' has 'soon'"):
        load_csv(tmp_path, text, drop_incomplete=True)
    with pytest.raises(UserError, match="no complete row"):
        load_csv(tmp_path, HEADER + "1,,5\n", drop_incomplete=True)


def test_without_times_the_order_of_the_file_is_kept(tmp_path):
    text = "user,item\n1,b\n,c\n1,a\n"
    read = load_csv(tmp_path, text, time="none", drop_incomplete=True)
    assert read.log.rows() == [(1, "b", 0), (1, "a", 2)]
    assert read.notes == (
        "no times: the rows are in order, the oldest first; --log.newest-first reverses it",
    )


def test_rows_without_times_may_run_from_new_to_old(tmp_path):
    read = load_csv(tmp_path, "user,item\n1,b\n1,a\n", time="none", newest_first=True)
    assert read.log.sort("timestamp")["item"].to_list() == ["a", "b"]
    assert read.notes == ("no times: the rows are in order, the newest first",)
    with pytest.raises(UserError, match=r"--log\.newest-first needs --log\.time=none"):
        load_csv(tmp_path, "user,item,timestamp\n1,b,5\n", newest_first=True)
