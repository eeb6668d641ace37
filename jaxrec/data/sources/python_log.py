"""A log as `jaxrec.read_log` takes it in Python: a file, or a table in memory."""

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
    """A log of who chose what and when, and how it is read.

    Attributes:
        config: the part of a run's configuration that says how the log is read.
        table: the log itself if it lies in memory; None: `config.dataset` names its file.
        rows: how many it has.
        users: how many different ones.
        items: how many different ones.
        notes: what was guessed, and what is odd.

    Example:
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
    drop_incomplete: bool = False,
    item_table: ItemTableConfig | None = None,
    user_table: UserTableConfig | None = None,
) -> Log:
    """Read a log, check every row, and print what was read.

    Args:
        log: a file (CSV, TSV, JSON lines, Parquet, ...), a folder or a pattern of Parquet files, a
            Polars or pandas DataFrame, or an Arrow table.
        user: the column of users.
        item: the column of items.
        time: the column of times, numbers or dates; None: the order of the rows counts.
        rating: the column of ratings, if there is one.
        event: the column of kinds of events (view, cart, buy), if there is one.
        items: a table that describes the items: an id, and any of title, genres, year.
        users: a table that describes the users.
        columns: the names of the columns of a file whose first line does not hold them.
        separator: what stands between the fields of a text file; None: it is found out.
        encoding: of the files, such as "latin-1"; None: UTF-8, or what their first bytes say.
        time_format: how dates are written, if not as ISO 8601: "%d.%m.%Y %H:%M".
        time_unit: what numbers of time count; "auto": what makes them times since 1970.
        drop_incomplete: drop rows without a user, item, time, rating or event instead of refusing
            them.
        item_table: which columns of `items` are what; None: those that are named as usual.
        user_table: the same of `users`.

    Returns:
        The log, for `jaxrec.train`.

    Raises:
        UserError: a file or a column is missing, or a row cannot be read; it is named.

    Example:
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
    """Return settings of a run with those of a log in the place of their own."""
    of_log = ("dataset", "items", "users", "log", "item_table", "user_table")
    return replace(settings, **{name: getattr(log.config, name) for name in of_log})


def _as_polars(table: Any) -> pl.DataFrame:
    """Return a table of Polars, pandas or Arrow as one of Polars.

    Raises:
        UserError: it is none of these.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    # The Arrow PyCapsule interface, which pandas and Arrow have.
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
