"""Arbitrary tables are read or rejected with a one-line error, never with a traceback."""

import gzip
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from jaxrec.cli import command_line
from jaxrec.cli.train import main

NAMES = st.sampled_from(["User", " item", "", "\n", "a\tb", "1", "título"])
UNUSUAL = ["", "NULL", "1", "1.0", "007", " ", '"', "a,b", "2024-05-01", "\x00", "\u202e", "1e400"]
TEXTS = st.sampled_from(UNUSUAL) | st.text(max_size=5)
COLUMNS = st.sampled_from(
    [
        (pl.String, TEXTS),
        (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
        (pl.UInt64, st.integers(0, 2**64 - 1)),
        (pl.Float64, st.floats()),
        (pl.Boolean, st.booleans()),
        (pl.Binary, st.binary(max_size=16)),
        (pl.Date, st.dates()),
        (pl.Datetime("us"), st.datetimes()),
        (pl.Decimal(20, 2), st.decimals(-(10**9), 10**9, places=2)),
        (pl.List(pl.Int64), st.lists(st.integers(0, 9), max_size=2)),
        (pl.Struct({"a": pl.Int64}), st.builds(lambda a: {"a": a}, st.integers(0, 9))),
        (pl.Null, st.none()),
        (pl.Categorical, TEXTS),
        (pl.Time, st.times()),
        (pl.Duration("us"), st.timedeltas(min_value=timedelta(-9), max_value=timedelta(9))),
    ]
)


@st.composite
def typed_tables(draw: DrawFn) -> pl.DataFrame:
    height = draw(st.integers(0, 12))
    columns = []
    required = draw(st.sampled_from([["user", "item", "timestamp"]] * 5 + [["user"]]))
    for name in required + draw(st.lists(NAMES, unique=True, max_size=1)):
        dtype, values = draw(COLUMNS)
        column = draw(st.lists(st.none() | values, min_size=height, max_size=height))
        columns.append(pl.Series(name, column, dtype=dtype, strict=False))
    return pl.DataFrame(columns)


@st.composite
def malformed_texts(draw: DrawFn) -> bytes:
    """Generate the bytes of a malformed text table."""
    separator = draw(st.sampled_from([",", ";", "\t", "::", "|"]))
    header = draw(st.sampled_from([["user", "item", "timestamp"], ["user", "item", "item"], []]))
    fields = st.one_of(TEXTS, st.integers(0, 3).map(str))
    rows = draw(st.lists(st.lists(fields, max_size=4), max_size=12))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(separator.join(row) for row in [header, *rows])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]))
    data = text.encode(encoding, errors="replace")
    data = draw(st.sampled_from([data, data[: len(data) // 2], data + b"\xff\x00"]))
    return gzip.compress(data) if draw(st.booleans()) else data


# A hundred examples share the same sets of flags: parse each set once.
CACHED_PARSE = cache(command_line.parse)


def check_dry_run(capsys, arguments: list[str]) -> None:
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line, "parse", CACHED_PARSE)
        code = main((*arguments, "--dry-run"))
    out, err = capsys.readouterr()
    if code == 0:
        assert err == "" and "rows in" in out
    else:
        assert code == 2
        assert err.startswith("error: ") and err.endswith("\n")
        assert err.count("\n") == 1 and err[:-1].isprintable(), err


FLAGS = st.sampled_from(
    [
        [],
        ["--log.drop-incomplete"],
        ["--log.time=none"],
        ["--log.columns=user,item,timestamp"],
        ["--log.time-format=%d.%m.%Y"],
        ["--log.encoding=utf-16"],
        ["--log.separator=::"],
        ["--log.rating=item"],
        ["--log.user=1", "--min-rating=2"],
    ]
)
ITEM_FLAGS = st.sampled_from(
    [
        [],
        ["--item-table.columns=item,title,year"],
        ["--item-table.key=user", "--item-table.title=item"],
    ]
)
SUFFIXES = st.sampled_from([".csv", ".tsv", ".dat", ".inter", ".jsonl", ".csv.zst", ".parquet"])
LENIENT = ["--min-user-interactions=1", "--min-item-interactions=1"]
shares_fixtures = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@shares_fixtures
@given(table=typed_tables(), flags=FLAGS)
def test_columns_of_arbitrary_types_and_values(tmp_path: Path, capsys, table, flags):
    path = tmp_path / "log.parquet"
    table.write_parquet(path)
    check_dry_run(capsys, [f"--dataset={path}", *LENIENT, *flags])


@shares_fixtures
@given(
    data=malformed_texts(),
    suffix=st.sampled_from([".csv", ".tsv", ".dat", ".inter", ".jsonl", ".csv.zst", ".parquet"]),
    flags=FLAGS,
)
def test_arbitrary_text_files(tmp_path: Path, capsys, data, suffix, flags):
    path = tmp_path / f"log{suffix}"
    path.write_bytes(data)
    check_dry_run(capsys, [f"--dataset={path}", *LENIENT, *flags])


@shares_fixtures
@given(
    data=malformed_texts(),
    flags=st.sampled_from(
        [
            [],
            ["--item-table.columns=item,title,year"],
            ["--item-table.key=user", "--item-table.title=item"],
        ]
    ),
)
def test_arbitrary_item_tables(tmp_path: Path, capsys, data, flags):
    log, items = tmp_path / "log.csv", tmp_path / "items.csv"
    rows = "".join(f"{user},{item},{item}\n" for user in (1, 2, 3) for item in range(4))
    log.write_text("user,item,timestamp\n" + rows)
    items.write_bytes(data)
    check_dry_run(capsys, [f"--dataset={log}", f"--items={items}", *LENIENT, *flags])


@shares_fixtures
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
    check_dry_run(capsys, [*flags, "--activity-features=odd"])
    check_dry_run(capsys, [*flags, f"--users={tmp_path / 'users.parquet'}", "--user-features=odd"])


@shares_fixtures
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
    check_dry_run(capsys, [*flags, "--time-gaps", f"--log.time-unit={unit}"])


@shares_fixtures
@given(data=malformed_texts())
def test_arbitrary_user_tables(tmp_path: Path, capsys, data):
    log, users = tmp_path / "log.csv", tmp_path / "users.csv"
    rows = "".join(f"{user},{item},{item}\n" for user in (1, 2, 3) for item in range(4))
    log.write_text("user,item,timestamp\n" + rows)
    users.write_bytes(data)
    flags = [f"--dataset={log}", f"--users={users}", "--user-features=timestamp", *LENIENT]
    check_dry_run(capsys, flags)
