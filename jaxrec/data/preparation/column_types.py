"""The column types of a log, which depend on all of its rows.

Ids are integers if they are whole numbers in every row, and text if a single row has text. No
bucket can decide this alone, so the types of all buckets are merged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from jaxrec.data.interactions import TICKS_PER_SECOND
from jaxrec.data.sources.log_file import LogFile
from jaxrec.data.sources.own_log import ReadRows
from jaxrec.data.sources.tabular import Table, text_of
from jaxrec.data.sources.times import infer_ticks_per_second
from jaxrec.errors import UserError

_NANOSECONDS = TICKS_PER_SECOND["nanoseconds"]


# Ids that every row of a text file has as 15.0. A single one written as 15 makes all of them text.
_WITH_POINT = "Int64 with a point"


@dataclass(frozen=True)
class ColumnTypes:
    """The column types and the time range of some rows of a log.

    Attributes:
        dtypes: the name of each column's Polars type.
        said_ticks: the ticks per second of the times, if they are dates or the unit is set.
        first: the smallest time.
        last: the largest time.
    """

    dtypes: dict[str, str]
    said_ticks: int | None
    first: float
    last: float

    @property
    def empty_frame(self) -> pl.DataFrame:
        """An empty table of these types."""
        return pl.DataFrame(schema={name: getattr(pl, each) for name, each in self.dtypes.items()})

    @property
    def ticks_per_second(self) -> int | None:
        """The unit of the times; None if it cannot be inferred."""
        return self.said_ticks or infer_ticks_per_second(pl.Series([self.first, self.last]))


def infer_types(rows: ReadRows, table: Table, opened: LogFile) -> ColumnTypes:
    """Infer the column types of some rows, of which there is at least one.

    Args:
        table: the same rows, as they are written.
    """
    dtypes = {name: str(dtype) for name, dtype in rows.log.schema.items()}
    if not opened.file.is_typed:
        for name, column in (
            ("user", opened.config.user),
            ("item", opened.config.item),
        ):
            if (
                dtypes[name] == "Int64"
                and (rows.log[name].cast(pl.String) != table.frame[column]).any()
            ):
                dtypes[name] = _WITH_POINT
    return ColumnTypes(dtypes, rows.ticks_per_second, *_time_range(rows.log["timestamp"]))


def _time_range(times: pl.Series) -> tuple[float, float]:
    numbers = times.to_numpy()
    return float(numbers.min()), float(numbers.max())


def merge_types(parts: Sequence[ColumnTypes], opened: LogFile) -> ColumnTypes:
    """Merge the types of all parts of a log.

    Raises:
        UserError: if times are dates in some rows and numbers in others.
    """
    units = {each.said_ticks for each in parts}
    if None in units and len(units) > 1:
        raise UserError(
            f"{opened.file.path}: column {opened.config.time!r} has dates in some rows "
            "and numbers in others; use one form for all"
        )
    known_ticks = max((unit for unit in units if unit), default=None)
    dtypes = {}
    for name in parts[0].dtypes:
        found = {each.dtypes[name] for each in parts}
        dtypes[name] = _common_type(found)
    if known_ticks == _NANOSECONDS:
        dtypes["timestamp"] = "Int64"
    first, last = min(each.first for each in parts), max(each.last for each in parts)
    return ColumnTypes(dtypes, known_ticks, first, last)


def _common_type(names: set[str]) -> str:
    if "String" in names or names > {_WITH_POINT}:
        return "String"
    return "Float64" if "Float64" in names else "Int64" if names == {_WITH_POINT} else min(names)


def cast_rows(rows: ReadRows, table: Table, opened: LogFile, types: ColumnTypes) -> pl.DataFrame:
    """Cast some rows to the types of the whole log.

    Args:
        table: the same rows, as they are written.
    """
    config = opened.config
    written = {
        "user": config.user,
        "item": config.item,
        "event": config.event,
        **{name: name for name in opened.others},
    }

    schema = types.empty_frame.schema

    def column(name: str) -> pl.Series:
        values, dtype = rows.log[name], schema[name]
        if values.dtype == dtype:
            return values
        if dtype == pl.String:
            return text_of(table.scalar_column(written[name])).alias(name)
        if name == "timestamp" and types.said_ticks == _NANOSECONDS:
            # Seconds of dates without nanoseconds are whole microseconds; rounding restores them.
            return (values * 1e6).round().cast(pl.Int64) * 1000
        return values.cast(dtype)

    return pl.DataFrame([column(name) for name in schema])
