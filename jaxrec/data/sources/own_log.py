"""A user's own log, and the table that describes its items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from jaxrec.config import NO_TIMES, ItemsConfig, LogConfig, UsersConfig
from jaxrec.data.interactions import Interactions, count_dropped, not_zero
from jaxrec.data.sources.ids import odd_ids, read_ids
from jaxrec.data.sources.item_table import no_items, read_items
from jaxrec.data.sources.table_file import TableFile, named, open_table
from jaxrec.data.sources.tabular import Table, finite, one_role_each, read_table, values_of
from jaxrec.data.sources.times import mixed_units, read_times, ticks_by_size
from jaxrec.data.sources.user_table import read_users
from jaxrec.errors import UserError

_IF_EMPTY = "--drop-incomplete drops such rows"


@dataclass(frozen=True)
class LogFile:
    """A log that was found; none of its rows is read yet.

    Attributes:
        config: how it is read.
        others: columns that are read as they are, whether they have a role beside that or not.
        flags: each column that is read, with the flag that named it.
    """

    file: TableFile
    config: LogConfig
    others: Sequence[str]
    flags: Mapping[str, str]

    def read(self) -> Table:
        """Read all of it, as it is written.

        Raises:
            UserError: a column is missing, there is no row, or one cannot be parsed.
        """
        return read_table(self.file, self.flags, "--columns", if_empty=_IF_EMPTY)

    def table(self, frame: pl.DataFrame, rows: pl.Series) -> Table:
        """Take some of its rows, as they are written, for a table.

        Args:
            rows: the number of each in the log, from 0.
        """
        return Table(self.file, frame, rows, self.flags, _IF_EMPTY)


class ReadRows(NamedTuple):
    """Rows of a log.

    Attributes:
        log: as Interactions have it.
        ticks_per_second: the unit of its times, if that is said.
        notes: what is odd in them.
    """

    log: pl.DataFrame
    ticks_per_second: int | None
    notes: list[str]


def open_log(
    name: str, config: LogConfig, *, others: Mapping[str, str], flag: str = "--dataset"
) -> LogFile:
    """Find a log, and out how it is written.

    Args:
        name: a file, or a folder or a pattern of Parquet files.
        others: columns that have no role, each with the flag that named it.
        flag: the one that gave the name.

    Raises:
        UserError: there is none, or a column has two roles.
    """
    file = open_table(
        name,
        flag,
        columns=named(config.columns, "--columns"),
        separator=config.separator,
        encoding=config.encoding,
    )
    roles = _flags(config)
    own = {"rating": config.rating_column, "event": config.event_column}
    # Ratings and events that have a column of their own are read as such.
    others = {name: told for name, told in others.items() if not own.get(name)}
    for column, told in others.items():
        if roles.get(column, "--rating-column") not in ("--rating-column", "--event-column"):
            raise UserError(
                f"{roles[column]} and {told} both name the column {column!r}; leave it out of the "
                "latter"
            )
    return LogFile(file, config, tuple(others), {**others, **roles})


def load_table(
    name: str,
    config: LogConfig,
    items: ItemsConfig | None = None,
    users: UsersConfig | None = None,
    *,
    item_features: Sequence[str] = (),
    user_features: Sequence[str] = (),
    others: Mapping[str, str] = MappingProxyType({}),
    flag: str = "--dataset",
) -> Interactions:
    """Read a log, and what other tables say of its items and users.

    Args:
        name: a file, or a folder or a pattern of Parquet files.
        item_features: columns of the items' table that are read as they are ...
        user_features: ... of the users' table ...
        others: ... and of the log, each with the flag that named it.
        flag: the one that gave the name.

    Raises:
        UserError: a file or column is missing, or a row cannot be read; it is named by the line
            where it begins in a text file, by its number from 1 in a Parquet file.
    """
    opened = open_log(name, config, others=others, flag=flag)
    table = opened.read()
    complete = complete_rows(table, config)
    dropped = not_zero(count_dropped("--drop-incomplete", table.frame, complete.frame))
    if complete.frame.is_empty():
        raise UserError(f"{opened.file.path} has no complete row; leave --drop-incomplete out")
    rows = read_rows(complete, opened)
    log, ticks = rows.log, rows.ticks_per_second
    if ticks is None and config.time_column != NO_TIMES:
        ticks = ticks_by_size(log["timestamp"])
    notes = [*opened.file.notes, *rows.notes]
    known = log["item"].unique(maintain_order=True)
    described, more = describe_items(known, config, items, item_features)
    notes += more
    of_users = None
    if users is not None and users.users is not None:
        of_users, more = read_users(
            users,
            log["user"].unique(maintain_order=True),
            log_column=config.user_column,
            encoding=config.encoding,
            features=user_features,
        )
        notes += more
    return Interactions(log, described, of_users, ticks, dropped, tuple(notes))


def describe_items(
    known: pl.Series, config: LogConfig, items: ItemsConfig | None, features: Sequence[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Read what a table says of the items of a log, if there is one; and notes.

    Raises:
        UserError: it cannot be read, or describes none of them.
    """
    if items is None or items.items is None:
        return no_items(known), []
    return read_items(
        items,
        known,
        log_column=config.item_column,
        encoding=config.encoding,
        features=features,
    )


def complete_rows(table: Table, config: LogConfig) -> Table:
    """Keep the rows that have a user, an item, a time and so on, if that is asked."""
    if not config.drop_incomplete:
        return table
    is_there = [_is_there(table.frame[name]) for name in _flags(config)]
    return table.take(pl.select(pl.all_horizontal(is_there)).to_series())


def read_rows(table: Table, opened: LogFile) -> ReadRows:
    """Read each column as what it is; say what is odd.

    Args:
        table: some rows of the log.

    Raises:
        UserError: one cannot be read.
    """
    config = opened.config
    users, items = read_ids(table, config.user_column), read_ids(table, config.item_column)
    notes = [*odd_ids("user", users), *odd_ids("item", items)]
    if config.time_column == NO_TIMES:
        if config.time_unit != "auto":
            raise UserError(
                f"--time-unit={config.time_unit} says what times count, and --time-column=none "
                "that there are none; leave one of them out"
            )
        times, ticks = table.rows, None
        notes.append("there are no times: the order of the file counts")
    else:
        times, ticks = read_times(table, config.time_column, config.time_format, config.time_unit)
        notes += mixed_units(times)
    log = pl.DataFrame({"user": users, "item": items, "timestamp": times})
    if config.rating_column is not None:
        ratings = finite(table.plain(config.rating_column))
        table.require(config.rating_column, ratings.is_not_null(), "a finite number")
        log = log.with_columns(rating=ratings)
    if config.event_column is not None:
        events = values_of(table, config.event_column)
        table.require(config.event_column, events.is_not_null(), "a kind of event")
        log = log.with_columns(event=events)
    log = log.with_columns(values_of(table, each) for each in opened.others)
    return ReadRows(log, ticks, notes)


def _flags(config: LogConfig) -> dict[str, str]:
    """Give the columns that are read, each with the flag that named it."""
    has_times = config.time_column != NO_TIMES
    return one_role_each(
        {
            "--user-column": config.user_column,
            "--item-column": config.item_column,
            "--time-column": config.time_column if has_times else None,
            "--rating-column": config.rating_column,
            "--event-column": config.event_column,
        }
    )


def _is_there(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return (column != "").fill_null(False)
    return (column.fill_nan(None) if column.dtype.is_float() else column).is_not_null()
