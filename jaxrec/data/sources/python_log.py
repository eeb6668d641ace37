"""Logs for the Python API, read by `jaxrec.read_log` from a file or a table in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import TimeUnit
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.log_config import NO_TIMES, LogConfig
from jaxrec.data.sources.own_log import SideTables, load_table
from jaxrec.data.sources.table_file import IN_MEMORY
from jaxrec.data.sources.user_table import UserTableConfig
from jaxrec.errors import UserError


@dataclass(frozen=True, eq=False)
class Log:
    """A log of interactions, with the settings to read it.

    Attributes:
        config: the part of a run's configuration that sets how the log is read.
        table: the log itself if it is in memory; None: `config.dataset` names its file.
        rows: the number of rows, dropped ones included.
        users: the number of distinct users.
        items: the number of distinct items.
        notes: remarks on what was inferred, and on anomalies.

    Example::

        log = jaxrec.read_log("log.csv", user="customer", item="sku", time="bought_at")
        print(log.rows, log.users, log.items)
    """

    config: DataConfig = field(repr=False)
    table: pl.DataFrame | None = field(repr=False)
    rows: int
    users: int
    items: int
    notes: tuple[str, ...]


def read_log(
    log: str | Path | Any,
    *,
    user: str = "user",
    item: str = "item",
    time: str | None = "timestamp",
    rating: str | None = None,
    event: str | None = None,
    items: str | Path | None = None,
    users: str | Path | None = None,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    time_format: str | None = None,
    time_unit: TimeUnit = "auto",
    newest_first: bool = False,
    drop_incomplete: bool = False,
    item_table: ItemTableConfig | None = None,
    user_table: UserTableConfig | None = None,
) -> Log:
    """Read a log, check every row, and print a summary.

    Args:
        log: a file (CSV, TSV, JSON lines, Parquet, ...), a folder or a glob pattern of Parquet
            files, a Polars or pandas DataFrame, or an Arrow table.
        user: the column of users.
        item: the column of items.
        time: the column of times, numbers or dates; None: the order of the rows is used.
        rating: the column of ratings, if there is one.
        event: the column of kinds of events (view, cart, buy), if there is one.
        items: a table that describes the items: an id, and any of title, genres, year.
        users: a table that describes the users.
        columns: the column names of a file whose first line does not have them.
        separator: the field separator of a text file; None: it is inferred.
        encoding: of the files, such as "latin-1"; None: UTF-8, or UTF-16 by a byte order mark.
        time_format: the strftime format of dates that are not ISO 8601, as "%d.%m.%Y %H:%M".
        time_unit: the unit of numeric times; "auto": the one that makes them times since 1970.
        newest_first: without times, the rows run from the newest to the oldest.
        drop_incomplete: drop rows without a user, item, time, rating or event instead of refusing
            them.
        item_table: the roles of the columns of `items`; None: they are inferred from the names.
        user_table: the same for `users`.

    Returns:
        The log, to be passed to `jaxrec.train`.

    Raises:
        UserError: if a file or a column is missing, or a row is invalid; the message names it.

    Example::

        import polars as pl

        table = pl.DataFrame({"user": ["a", "a", "b"], "item": [1, 2, 1], "timestamp": [3, 4, 5]})
        log = jaxrec.read_log(table)
        assert (log.rows, log.users, log.items) == (3, 2, 2)
    """
    table = None if isinstance(log, str | Path) else _as_polars(log)
    config = DataConfig(
        dataset=IN_MEMORY if table is not None else str(log),
        items=None if items is None else str(items),
        users=None if users is None else str(users),
        log=LogConfig(
            user=user,
            item=item,
            time=NO_TIMES if time is None else time,
            rating=rating,
            event=event,
            columns=None if columns is None else ",".join(columns),
            separator=separator,
            encoding=encoding,
            time_format=time_format,
            time_unit=time_unit,
            newest_first=newest_first,
            drop_incomplete=drop_incomplete,
        ),
        item_table=item_table or ItemTableConfig(),
        user_table=user_table or UserTableConfig(),
    )
    tables = SideTables(config.items, config.item_table, (), None, config.user_table, ())
    source = config.dataset if table is None else table
    read = load_table(source, config.log, tables)
    known = read.log.select(pl.col("user", "item").n_unique()).row(0)
    found = Log(config, table, read.rows, *known, notes=read.notes)
    print(_render(found, read.dropped))
    return found


def with_settings(log: Log, settings: DataConfig) -> DataConfig:
    """Return the settings of a run, with those that describe the log taken from `log`."""
    of_log = ("dataset", "items", "users", "log", "item_table", "user_table")
    return replace(settings, **{name: getattr(log.config, name) for name in of_log})


def _as_polars(table: Any) -> pl.DataFrame:
    """Convert a table of Polars, pandas or Arrow to a Polars DataFrame.

    Raises:
        UserError: if the table is none of these.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    # pandas and Arrow tables implement the Arrow PyCapsule interface.
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(table)
    raise UserError(
        f"a log of {type(table).__name__} cannot be read; give a path, a Polars or pandas "
        "DataFrame, or an Arrow table"
    )


def _render(log: Log, dropped: Mapping[str, int]) -> str:
    lines = [
        f"{log.config.dataset}: {log.rows:,} rows, {log.users:,} users, {log.items:,} items",
        *(f"  dropped: {count:,} by {flag}" for flag, count in dropped.items()),
        *(f"  note: {note}" for note in log.notes),
    ]
    return "\n".join(lines)
