"""Requested columns of a table, and errors that locate an invalid row."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from jaxrec.data.sources.delimited import format_names
from jaxrec.data.sources.table_file import TableFile, read_errors
from jaxrec.errors import UserError


@dataclass(frozen=True, eq=False)
class Table:
    """The requested columns of a table; those of a text file are all strings.

    Attributes:
        frame: each column, under its name in the file.
        rows: the number of each row in the file, from 0.
        flags: the flag that named each column.
        if_empty: the remedy that messages suggest for an empty field.
    """

    file: TableFile
    frame: pl.DataFrame
    rows: pl.Series
    flags: Mapping[str, str]
    if_empty: str

    def scalar_column(self, name: str) -> pl.Series:
        """Return a column, unless it holds lists, structs, durations or Python objects.

        Raises:
            UserError: if it holds one of these.
        """
        dtype = self.frame.schema[name]
        if dtype.is_nested() or dtype in (pl.Duration, pl.Object):
            raise UserError(
                f"{self.file.path}: column {name!r} has type {dtype}, not ids, numbers or dates; "
                f"change {self.flags[name]}"
            )
        return self.frame[name]

    def require(
        self,
        name: str,
        is_good: pl.Series,
        kind: str,
        *,
        remedy: str = "",
        otherwise: str = "correct or delete the row",
    ) -> None:
        """Raise a UserError for the first row where `is_good` is not true.

        Args:
            name: the column.
            kind: the expected kind of value.
            remedy: what to do in any case.
            otherwise: what to do if neither `remedy` nor the value itself suggests anything else.
        """
        bad = is_good.fill_null(False).not_().arg_true()
        if bad.is_empty():
            return
        value = self.frame[name][bad[0]]
        if value is None or value == "":
            self.file.raise_row_error()  # the fields after a damaged one are empty too
            what, remedy = "is empty", self.if_empty
        else:
            what = f"has {str(value)[:40]!r}, not {kind}"
            remedy = remedy or _number_remedy(str(value)) or otherwise
        more = len(bad) - 1
        also = f" (in {more:,} more of {self.frame.height:,} rows too)" if more else ""
        raise UserError(
            f"{self.locate(bad[0])}: column {name!r} {what}{also}; "
            f"{remedy}, or change {self.flags[name]}"
        )

    def locate(self, row: int) -> str:
        """Return the location of a row of the frame in its file, for messages."""
        return self.file.locate(self.rows[row])

    def filter(self, is_kept: pl.Series) -> "Table":
        """Return the rows for which `is_kept` is true."""
        return replace(self, frame=self.frame.filter(is_kept), rows=self.rows.filter(is_kept))


def _number_remedy(text: str) -> str:
    """Return how to write a number that has a comma; empty if the text is no such number."""
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return f"omit the thousands separators, as in {text.replace(',', '')}"
    if re.fullmatch(r"-?\d+,\d+", text):
        return f"write a decimal point, as in {text.replace(',', '.')}"
    return ""


def flags_by_column(columns: Mapping[str, str | None]) -> dict[str, str]:
    """Return the flag of each column, from the column of each flag.

    Raises:
        UserError: if two flags name the same column.
    """
    flags = {}
    for flag, name in columns.items():
        if name in flags:
            raise UserError(
                f"{flags[name]} and {flag} both name the column {name!r}; give each its own"
            )
        if name is not None:
            flags[name] = flag
    return flags


def read_table(
    file: TableFile, flags: Mapping[str, str], columns_flag: str, *, if_empty: str
) -> Table:
    """Read some columns of a table.

    Args:
        flags: the columns to read, each with the flag that named it.
        columns_flag: the flag that names the columns of a file without a header.

    Raises:
        UserError: if a column is missing or occurs twice, or if there is no row or an invalid one.
    """
    require_columns(file, flags, columns_flag)
    with read_errors(file.path, file.raise_row_error):
        frame = file.scan(list(flags)).collect()
    if frame.is_empty():
        raise UserError(f"{file.path} has no rows; give a file with rows")
    rows = pl.int_range(frame.height, eager=True)
    return Table(file, frame, rows, flags, if_empty)


def require_columns(file: TableFile, flags: Mapping[str, str], columns_flag: str) -> None:
    """Check that a table has each of some columns exactly once.

    Args:
        flags: the columns, each with the flag that named it.
        columns_flag: the flag that names the columns of a file without a header.

    Raises:
        UserError: if a column is missing or occurs twice.
    """
    names = file.names
    for name, flag in flags.items():
        if names.count(name) > 1:
            raise UserError(
                f"{file.path} has {names.count(name)} columns {name!r}; rename all but one in "
                f"the header, or change {flag}"
            )
        if name not in names:
            raise _missing(file, names, name, flag, columns_flag)


def _missing(
    file: TableFile, names: Sequence[str], name: str, flag: str, columns_flag: str
) -> UserError:
    if not file.is_typed and any(map(_is_number, names)):
        return UserError(
            f"{file.path}: its first line, {format_names(names)}, looks like data; name its "
            f"{len(names)} columns with {columns_flag}, as in "
            f"{columns_flag}=user,item,rating,timestamp"
        )
    return UserError(
        f"{file.path} has no column {name!r}, only {format_names(names)}; change {flag} or the "
        "file's header"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def text_of(column: pl.Series) -> pl.Series:
    """Cast to strings; empty values become null, and all values if any bytes are not UTF-8."""
    if column.dtype.is_float():
        # pandas writes a missing value in a column of integers as NaN.
        column = column.fill_nan(None)
    try:
        return column.cast(pl.String, strict=False).replace("", None)
    except pl.exceptions.ComputeError:
        return pl.Series(column.name, [None] * len(column), pl.String)


def finite_numbers(column: pl.Series) -> pl.Series:
    """Cast to Float64; values that are not finite numbers become null."""
    text_or_number = column if column.dtype.is_numeric() else text_of(column)
    numbers = text_or_number.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


def values_of(table: Table, name: str) -> pl.Series:
    """Return a column as Float64 if all of its values are finite numbers, otherwise as strings.

    Empty values are null in both cases.

    Raises:
        UserError: if the column holds lists or other nested values.
    """
    text = text_of(table.scalar_column(name))
    numbers = finite_numbers(table.frame[name])
    return numbers if (numbers.is_null() == text.is_null()).all() else text
