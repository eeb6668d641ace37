"""CSV and Parquet files: the columns that were asked for, and the place of what is wrong."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from jaxrec.errors import UserError


@dataclass(frozen=True)
class Table:
    """The columns that were asked for, of a CSV all strings, and the flag that named each."""

    path: Path
    frame: pl.DataFrame
    flags: Mapping[str, str]

    def plain(self, name: str) -> pl.Series:
        """Return a column of anything but lists, structs and durations.

        Raises:
            UserError: it is one of these.
        """
        dtype = self.frame.schema[name]
        if dtype.is_nested() or dtype == pl.Duration:
            raise UserError(
                f"{self.path}: column {name!r} holds {dtype}, neither ids, numbers nor dates; "
                f"change {self.flags[name]}"
            )
        return self.frame[name]

    def require(self, name: str, is_good: pl.Series, kind: str) -> None:
        """Refuse the first row whose value is not good: it should have been `kind`."""
        if is_good.all(ignore_nulls=False):
            return
        row = is_good.fill_null(False).not_().arg_true()[0]
        value = self.frame[name][row]
        is_empty = value is None or value == ""
        what = "is empty" if is_empty else f"holds {str(value)[:40]!r}, not {kind}"
        raise UserError(
            f"{self.place(row)}: column {name!r} {what}; correct or delete the row, or "
            f"change {self.flags[name]}"
        )

    def place(self, row: int) -> str:
        """Say where a row, counted from 0 below the header, is in its file."""
        if not is_csv(self.path):
            return f"{self.path}, row {row + 1}"
        line, _ = next(islice(_records(self.path), row + 1, None))
        return f"{self.path}, line {line}"


def is_csv(path: Path) -> bool:
    """Say by its name whether a file is a CSV, and so without types."""
    return path.suffix.lower() == ".csv"


def column_names(path: Path, flag: str) -> list[str]:
    """List the columns of a file, once it is sure to be one.

    Raises:
        UserError: it is none, neither .csv nor .parquet, or empty; `flag` is the one to change.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; give {flag} the path of a .csv or .parquet")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{path} is neither .csv nor .parquet; give {flag} one of these")
    with _explained(path):
        return _scan(path).collect_schema().names()


def read_table(path: Path, names: Sequence[str], flags: Mapping[str, str]) -> Table:
    """Read the columns that `flags` has, each with the flag that names it.

    Args:
        names: what column_names found in the file.

    Raises:
        UserError: a column is missing, there is no row, or one cannot be parsed.
    """
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
    return Table(path, frame, flags)


def _scan(path: Path) -> pl.LazyFrame:
    if is_csv(path):
        return pl.scan_csv(path, infer_schema=False, glob=False)
    return pl.scan_parquet(path, glob=False)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what Polars raises over a file into a UserError that names the line."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; give a file with a header and rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if is_csv(path):
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
