"""A user's own log, and the tables that describe its items and users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from jaxrec.config.fields import refuse_unused
from jaxrec.data.interactions import Interactions, count_dropped, nonzero_counts
from jaxrec.data.sources.ids import read_ids, suspicious_id_notes
from jaxrec.data.sources.item_table import ItemTableConfig, empty_item_table, read_items
from jaxrec.data.sources.log_config import NO_TIMES, LogConfig
from jaxrec.data.sources.log_file import LogFile, open_log
from jaxrec.data.sources.tabular import (
    Table,
    finite_numbers,
    flags_by_column,
    values_of,
)
from jaxrec.data.sources.times import (
    infer_ticks_per_second,
    mixed_unit_notes,
    precision_notes,
    read_times,
)
from jaxrec.data.sources.user_table import UserTableConfig, read_users
from jaxrec.errors import UserError


@dataclass(frozen=True)
class SideTables:
    """The tables that describe the items and users of a log.

    Attributes:
        items: the file of the item table, or None.
        item_table: the settings to read it with.
        item_features: its columns to read as they are.
        users: the file of the user table, or None.
        user_table: the settings to read it with.
        user_features: its columns to read.
    """

    items: str | None = None
    item_table: ItemTableConfig = field(default_factory=ItemTableConfig)
    item_features: Sequence[str] = ()
    users: str | None = None
    user_table: UserTableConfig = field(default_factory=UserTableConfig)
    user_features: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check that each flag applies to a given table, and that the user table is used.

        Raises:
            UserError: if one does not; the message names the flag.
        """
        if self.items is None:
            refuse_unused(self.item_table, "--items=FILE")
        if self.users is None:
            refuse_unused(self.user_table, "--users=FILE")
            if self.user_features:
                raise UserError("--user-features needs --users, a table of the users")
        elif not self.user_features:
            raise UserError(f"--users={self.users} needs --user-features")


class ReadRows(NamedTuple):
    """Parsed rows of a log.

    Attributes:
        log: the columns of `Interactions.log`.
        ticks_per_second: the unit of the times where it is certain, otherwise None.
        notes: remarks on anomalies in the rows.
    """

    log: pl.DataFrame
    ticks_per_second: int | None
    notes: list[str]


def load_table(
    name: str | pl.DataFrame,
    config: LogConfig,
    tables: SideTables = SideTables(),
    *,
    others: Mapping[str, str] = MappingProxyType({}),
    flag: str = "--dataset",
) -> Interactions:
    """Read a log and the tables that describe its items and users.

    Args:
        name: a file, a folder or a glob pattern of Parquet files, or the table itself.
        others: columns of the log to read as they are, each with the flag that named it.
        flag: the flag that gave `name`, for messages.

    Raises:
        UserError: if a file or column is missing, or a row cannot be read. The message has the line
            where the row begins in a text file, or its number from 1 in a Parquet file.
    """
    opened = open_log(name, config, others=others, flag=flag)
    config, table = opened.config, opened.read()
    complete = complete_rows(table, config)
    dropped = nonzero_counts(count_dropped("--log.drop-incomplete", table.frame, complete.frame))
    if complete.frame.is_empty():
        raise UserError(f"{opened.file.path} has no complete row; omit --log.drop-incomplete")
    rows = read_rows(complete, opened)
    log, ticks = rows.log, rows.ticks_per_second
    if ticks is None and config.time != NO_TIMES:
        ticks = infer_ticks_per_second(log["timestamp"])
    notes = [*opened.notes, *rows.notes]
    known = log["item"].unique(maintain_order=True)
    items, table_notes = describe_items(known, config, tables)
    notes += table_notes
    users, table_notes = describe_users(log["user"].unique(maintain_order=True), config, tables)
    notes += table_notes
    return Interactions(log, items, users, ticks, dropped, tuple(notes))


def describe_items(
    known: pl.Series, config: LogConfig, tables: SideTables
) -> tuple[pl.DataFrame, list[str]]:
    """Read the item table of a log, if there is one; return it with notes.

    Raises:
        UserError: if the table cannot be read, or describes none of the items.
    """
    if tables.items is None:
        return empty_item_table(known), []
    return read_items(
        tables.items,
        tables.item_table,
        known,
        log_column=config.item,
        encoding=config.encoding,
        features=tables.item_features,
    )


def describe_users(
    known: pl.Series, config: LogConfig, tables: SideTables
) -> tuple[pl.DataFrame | None, list[str]]:
    """Read the user table of a log, if there is one; return it with notes.

    Raises:
        UserError: if the table cannot be read, or lacks one of the users.
    """
    if tables.users is None:
        return None, []
    return read_users(
        tables.users,
        tables.user_table,
        known,
        log_column=config.user,
        encoding=config.encoding,
        features=tables.user_features,
    )


def complete_rows(table: Table, config: LogConfig) -> Table:
    """Drop rows that lack the value of a role, if --log.drop-incomplete is set."""
    if not config.drop_incomplete:
        return table
    is_present = [_is_present(table.frame[name]) for name in flags_by_column(config.roles)]
    return table.filter(pl.select(pl.all_horizontal(is_present)).to_series())


def read_rows(table: Table, opened: LogFile) -> ReadRows:
    """Parse some rows of a log, each column by its role, and note anomalies.

    Args:
        table: the rows, as they are written.

    Raises:
        UserError: if a row cannot be parsed.
    """
    config = opened.config
    users, items = read_ids(table, config.user), read_ids(table, config.item)
    notes = [*suspicious_id_notes("user", users), *suspicious_id_notes("item", items)]
    if config.time == NO_TIMES:
        if config.time_unit != "auto":
            raise UserError(
                f"--log.time-unit={config.time_unit} and --log.time=none exclude each other; omit "
                "one of them"
            )
        times, ticks = table.rows, None
        if config.newest_first:
            times = -times
            notes.append("no times: the rows are in order, the newest first")
        else:
            notes.append(
                "no times: the rows are in order, the oldest first; --log.newest-first reverses it"
            )
    else:
        times, ticks = read_times(table, config.time, config.time_format, config.time_unit)
        if config.newest_first:
            raise UserError("--log.newest-first needs --log.time=none; omit it")
        notes += mixed_unit_notes(times)
        notes += precision_notes(table.frame[config.time])
    log = pl.DataFrame({"user": users, "item": items, "timestamp": times})
    if config.rating is not None:
        ratings = finite_numbers(table.scalar_column(config.rating))
        table.require(config.rating, ratings.is_not_null(), "a finite number")
        log = log.with_columns(rating=ratings)
    if config.event is not None:
        events = values_of(table, config.event)
        table.require(config.event, events.is_not_null(), "a kind of event")
        log = log.with_columns(event=events)
    log = log.with_columns(values_of(table, each) for each in opened.others)
    return ReadRows(log, ticks, notes)


def _is_present(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return (column != "").fill_null(False)
    return (column.fill_nan(None) if column.dtype.is_float() else column).is_not_null()
