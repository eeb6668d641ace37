"""A user's own log, and the table that describes its items: CSV or Parquet."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
from jaxrec.data.sources.tabular import Table, column_names, is_csv, read_table
from jaxrec.errors import UserError

_DESCRIPTION = {"title": pl.String(), "genres": pl.List(pl.String), "year": pl.Int32()}

# 2024-05-01, 2024-05-01T12:30, 2024-05-01 12:30:59.5+02:00, 2024-05-01 12:30:59 UTC
_ISO = (
    r"^(?<date>\d{4}-\d\d-\d\d)(?:[T ](?<minute>\d\d:\d\d)(?<second>:\d\d(?:\.\d+)?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)?$"
)


@dataclass(frozen=True)
class Columns:
    """What a log calls its columns."""

    user: str = "user"
    item: str = "item"
    time: str = "timestamp"
    rating: str | None = None


def load_table(path: Path, columns: Columns, items_path: Path | None = None) -> Interactions:
    """Read a log of .csv or .parquet, and the items that a second table describes.

    Ids are integers or strings; a CSV column is of integers if each value is written the way an
    integer prints, so that "007" stays what it is. Times are numbers in any unit, or ISO dates,
    which become seconds since 1970 (UTC where no zone is given). Of the item table those rows are
    kept whose item is in the log.

    Raises:
        UserError: a file or column is missing, or a row cannot be read; it is named by the line
            where it begins in a CSV, by its number from 1 in a Parquet file.
    """
    flags = {
        columns.user: "--user-column",
        columns.item: "--item-column",
        columns.time: "--time-column",
    }
    if columns.rating is not None:
        flags[columns.rating] = "--rating-column"
    table = read_table(path, column_names(path, "--dataset"), flags)
    log = pl.DataFrame(
        {
            "user": _ids(table, columns.user),
            "item": _ids(table, columns.item),
            "timestamp": _times(table, columns.time),
        }
    )
    if columns.rating is not None:
        log = log.with_columns(rating=_numbers(table, columns.rating))
    if items_path is None:
        items = pl.DataFrame(schema={"item": log["item"].dtype} | _DESCRIPTION)
    else:
        items = _read_items(items_path, columns.item, log["item"].unique(maintain_order=True))
    return Interactions(log, items)


def _ids(table: Table, name: str) -> pl.Series:
    """Return integers or strings, none missing or empty."""
    column = table.plain(name)
    ids = column if column.dtype.is_integer() else _text(column)
    table.require(name, ids.is_not_null(), "an id")
    if is_csv(table.path):
        integers = ids.cast(pl.Int64, strict=False)
        if integers.cast(pl.String).eq_missing(ids).all():
            return integers
    return ids


def _numbers(table: Table, name: str) -> pl.Series:
    """Return finite Float64."""
    numbers = _finite(table.plain(name))
    table.require(name, numbers.is_not_null(), "a finite number")
    return numbers


def _times(table: Table, name: str) -> pl.Series:
    """Return Int64 as it stands or, of anything else, finite Float64."""
    times = _moments(table.plain(name))
    table.require(name, times.is_not_null(), "a finite number or an ISO date")
    return times


def _moments(column: pl.Series) -> pl.Series:
    """Read times of any type; null where there is none. The first says whether they are dates."""
    if column.dtype in (pl.Date, pl.Datetime):
        return column.dt.epoch("us") / 1e6
    numbers = _finite(column)
    if column.dtype.is_float() or column.dtype.is_decimal():
        return numbers
    text = _text(column)
    integers = text.cast(pl.Int64, strict=False)
    if not integers.has_nulls():
        return integers
    return _iso_seconds(text) if numbers[0] is None else numbers


def _iso_seconds(text: pl.Series) -> pl.Series:
    """Read ISO dates as Float64 seconds since 1970; null where there is none."""
    parts = text.str.extract_groups(_ISO).struct.unnest()
    utc = parts.select(
        pl.format(
            "{}T{}{}{}",
            "date",
            pl.col("minute").fill_null("00:00"),
            pl.col("second").fill_null(":00"),
            pl.col("zone").replace(["Z", "UTC"], "+00").fill_null("+00"),
        )
    ).to_series()
    instants = utc.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    return instants.dt.epoch("us") / 1e6


def _text(column: pl.Series) -> pl.Series:
    """Cast to strings; null where nothing is written."""
    if column.dtype.is_float():
        # What is missing from a column of integers when pandas writes it becomes NaN.
        column = column.fill_nan(None)
    return column.cast(pl.String, strict=False).replace("", None)


def _finite(column: pl.Series) -> pl.Series:
    """Cast to Float64; null where there is no finite number."""
    text_or_number = column if column.dtype.is_numeric() else _text(column)
    numbers = text_or_number.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def _read_items(path: Path, item_column: str, known: pl.Series) -> pl.DataFrame:
    """Read the item table for the items of the log, their ids of the type that the log has."""
    names = column_names(path, "--items")
    key = item_column if item_column in names else "item"
    described = [name for name in _DESCRIPTION if name in names]
    table = read_table(path, names, {key: "--items"} | dict.fromkeys(described, "--items"))
    ids = _ids(table, key).cast(pl.String)
    if ids.is_duplicated().any():
        row = ids.is_first_distinct().not_().arg_true()[0]
        raise UserError(
            f"{table.place(row)}: item {ids[row]!r} was described before; keep one row an item"
        )
    items = pl.DataFrame([ids.alias("key"), *(_description(table, name) for name in _DESCRIPTION)])
    keys = pl.DataFrame({"item": known, "key": known.cast(pl.String)})
    items = keys.join(items, on="key", maintain_order="right").select(ITEM_COLUMNS)
    if items.is_empty():
        raise UserError(
            f"{path} describes no item of the log: there the first one is {known[0]!r}, here "
            f"{ids[0]!r}; write the ids of --items as the log does"
        )
    return items


def _description(table: Table, name: str) -> pl.Series:
    """Return what is known of the items under this name, null where nothing is."""
    if name not in table.frame:
        return pl.Series(name, [None] * table.frame.height, _DESCRIPTION[name])
    if name == "genres" and table.frame[name].dtype in (pl.List, pl.Array):
        return table.frame[name].cast(pl.List(pl.String))
    text = _text(table.plain(name))
    if name == "title":
        return text
    if name == "genres":
        return text.str.split("|")
    year = _finite(text).cast(pl.Int32, strict=False)
    table.require(name, year.is_not_null() | text.is_null(), "a year")
    return year
