"""A user's own log, and the table that describes its items: CSV or Parquet."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
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


def load_table(
    path: str | Path, columns: Columns, items_path: str | Path | None = None
) -> Interactions:
    """Read a log of .csv or .parquet, and the items that a second table describes.

    Ids are integers or strings; a CSV column is of integers if each value is written the way an
    integer prints, so that "007" stays what it is. Times are numbers in any unit, or ISO dates,
    which become seconds since 1970 (UTC where no zone is given). Of the item table those rows are
    kept whose item is in the log.

    Raises:
        UserError: a file or column is missing, or a row cannot be read; it is named by the line
            where it begins in a CSV, by its number from 1 in a Parquet file.
    """
    path = Path(path)
    flags = {
        columns.user: "--user-column",
        columns.item: "--item-column",
        columns.time: "--time-column",
    }
    if columns.rating is not None:
        flags[columns.rating] = "--rating-column"
    table = _read(path, _names(path, "--dataset"), flags)
    log = pl.DataFrame(
        {
            "user": table.ids(columns.user),
            "item": table.ids(columns.item),
            "timestamp": table.times(columns.time),
        }
    )
    if columns.rating is not None:
        log = log.with_columns(rating=table.numbers(columns.rating))
    if items_path is None:
        items = pl.DataFrame(schema={"item": log["item"].dtype} | _DESCRIPTION)
    else:
        items = _read_items(Path(items_path), columns.item, log["item"].unique(maintain_order=True))
    return Interactions(log, items)


@dataclass(frozen=True)
class _Table:
    """The columns that were asked for, and the flag that named each."""

    path: Path
    frame: pl.DataFrame
    flags: Mapping[str, str]

    def ids(self, name: str) -> pl.Series:
        """Return integers or strings, none missing or empty."""
        column = self.frame[name]
        ids = column if column.dtype.is_integer() else _text(column)
        self._require(name, ids.is_not_null(), "an id")
        if self.path.suffix.lower() == ".csv":
            integers = ids.cast(pl.Int64, strict=False)
            if integers.cast(pl.String).eq_missing(ids).all():
                return integers
        return ids

    def times(self, name: str) -> pl.Series:
        """Return Int64 as it stands or, of anything else, finite Float64."""
        times = _times(self.frame[name])
        self._require(name, times.is_not_null(), "a finite number or an ISO date")
        return times

    def numbers(self, name: str) -> pl.Series:
        """Return finite Float64."""
        numbers = _finite(self.frame[name])
        self._require(name, numbers.is_not_null(), "a finite number")
        return numbers

    def description(self, name: str) -> pl.Series:
        """Return what is known of the items under this name, null where nothing is."""
        if name not in self.frame:
            return pl.Series(name, [None] * self.frame.height, _DESCRIPTION[name])
        column = self.frame[name]
        if name == "genres" and column.dtype.is_nested():
            return column.cast(pl.List(pl.String))
        text = _text(column)
        if name == "title":
            return text
        if name == "genres":
            return text.str.split("|")
        year = _finite(text).cast(pl.Int32, strict=False)
        self._require(name, year.is_not_null() | text.is_null(), "a year")
        return year

    def _require(self, name: str, is_good: pl.Series, kind: str) -> None:
        if is_good.all(ignore_nulls=False):
            return
        row = is_good.fill_null(False).not_().arg_true()[0]
        value = self.frame[name][row]
        what = (
            "is empty" if value is None or value == "" else f"holds {str(value)[:40]!r}, not {kind}"
        )
        raise UserError(
            f"{_place(self.path, row)}: column {name!r} {what}; correct or delete the row, or "
            f"change {self.flags[name]}"
        )


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


def _times(column: pl.Series) -> pl.Series:
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


def _read_items(path: Path, item_column: str, known: pl.Series) -> pl.DataFrame:
    """Read the item table for the items of the log, their ids of the type that the log has."""
    names = _names(path, "--items")
    key = item_column if item_column in names else "item"
    described = [name for name in _DESCRIPTION if name in names]
    table = _read(path, names, {key: "--items"} | dict.fromkeys(described, "--items"))
    ids = table.ids(key).cast(pl.String)
    if ids.is_duplicated().any():
        row = ids.is_first_distinct().not_().arg_true()[0]
        raise UserError(
            f"{_place(path, row)}: item {ids[row]!r} was described before; keep one row an item"
        )
    items = pl.DataFrame([ids.alias("key"), *(table.description(name) for name in _DESCRIPTION)])
    keys = pl.DataFrame({"item": known, "key": known.cast(pl.String)})
    items = keys.join(items, on="key", maintain_order="right").select(ITEM_COLUMNS)
    if items.is_empty():
        raise UserError(
            f"{path} describes no item of the log: there the first one is {known[0]!r}, here "
            f"{ids[0]!r}; write the ids of --items as the log does"
        )
    return items


def _names(path: Path, flag: str) -> list[str]:
    """List the columns of a file, once it is sure to be one."""
    if not path.is_file():
        raise UserError(f"{path} is no file; give {flag} the path of a .csv or .parquet")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{path} is neither .csv nor .parquet; give {flag} one of these")
    with _explained(path):
        return _scan(path).collect_schema().names()


def _read(path: Path, names: Sequence[str], flags: Mapping[str, str]) -> _Table:
    """Read the columns that `flags` has, each with the flag that names it."""
    for name, flag in flags.items():
        if name not in names:
            raise UserError(
                f"{path} has no column {name!r}, only {', '.join(names)}; change {flag} or the "
                "file's header"
            )
    with _explained(path):
        frame = _scan(path).select(list(flags)).collect()
    if frame.is_empty():
        raise UserError(f"{path} has no rows; give a file that has some")
    for name, dtype in frame.schema.items():
        if (dtype.is_nested() and name != "genres") or dtype == pl.Duration:
            raise UserError(
                f"{path}: column {name!r} holds {dtype}, neither ids, numbers nor dates; change "
                f"{flags[name]}"
            )
    return _Table(path, frame, flags)


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(path, infer_schema=False, glob=False)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what Polars raises over a file into a UserError that names the line."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; give a file with a header and rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if path.suffix.lower() == ".csv":
            _refuse_ragged(path)
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read ({reason}); write the file again") from error


def _refuse_ragged(path: Path) -> None:
    """Name the first row that is longer than the header, no UTF-8, or else holds a bare quote."""
    records = _records(path)
    header = next(record for _, record in records if record)
    suspect = None
    for line, record in records:
        text = ",".join(record)
        if len(record) > len(header):
            raise UserError(
                f"{path}, line {line}: {text[:60]!r} has {len(record)} fields and the header "
                f"{len(header)}; correct or delete the row"
            )
        if "\N{REPLACEMENT CHARACTER}" in text:
            raise UserError(f"{path}, line {line}: {text[:60]!r} is not UTF-8; convert the file")
        if suspect is None and '"' in text:
            suspect = (
                f"{path}, line {line}: {text[:60]!r} seems to hold a quote that is not doubled"
            )
    if suspect:
        raise UserError(f"{suspect}; write it twice and put the field in quotes")


def _place(path: Path, row: int) -> str:
    """Say where a row, counted from 0 below the header, is in its file."""
    if path.suffix.lower() == ".parquet":
        return f"{path}, row {row + 1}"
    line, _ = next(islice(_records(path), row + 1, None))
    return f"{path}, line {line}"


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV slowly: each record with the line where it begins, quoted newlines counted."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            for record in reader:
                yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {line}: {error}; close the quote there") from None
