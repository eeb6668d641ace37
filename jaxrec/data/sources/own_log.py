"""A user's own log, and the table that describes its items."""

from collections.abc import Sequence

import polars as pl

from jaxrec.config import NO_TIMES, ItemsConfig, LogConfig, UsersConfig
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.ids import odd_ids, read_ids
from jaxrec.data.sources.item_table import no_items, read_items
from jaxrec.data.sources.table_file import named, open_table
from jaxrec.data.sources.tabular import Table, finite, one_role_each, read_table, values_of
from jaxrec.data.sources.times import mixed_units, read_times
from jaxrec.data.sources.user_table import read_users
from jaxrec.errors import UserError


def load_table(
    name: str,
    config: LogConfig,
    items: ItemsConfig | None = None,
    users: UsersConfig | None = None,
    *,
    item_features: Sequence[str] = (),
    activity_features: Sequence[str] = (),
    user_features: Sequence[str] = (),
    label_columns: Sequence[str] = (),
    flag: str = "--dataset",
) -> Interactions:
    """Read a log, and what other tables say of its items and users.

    Args:
        name: a file, or a folder or a pattern of Parquet files.
        item_features: columns of the items' table that are read as they are ...
        activity_features: ... of the log ...
        user_features: ... and of the users' table.
        label_columns: columns of the log that tell what a target counts.
        flag: the one that gave the name.

    Raises:
        UserError: a file or column is missing, or a row cannot be read; it is named by the line
            where it begins in a text file, by its number from 1 in a Parquet file.
    """
    file = open_table(
        name,
        flag,
        columns=named(config.columns, "--columns"),
        separator=config.separator,
        encoding=config.encoding,
    )
    roles = _flags(config)
    # Ratings and events that have a column of their own are read as such.
    others = {
        name: told
        for names, told in (
            (label_columns, "--label-weight"),
            (activity_features, "--activity-features"),
        )
        for name in names
        if not {"rating": config.rating_column, "event": config.event_column}.get(name)
    }
    for column, told in others.items():
        if roles.get(column, "--rating-column") not in ("--rating-column", "--event-column"):
            raise UserError(
                f"{roles[column]} and {told} both name the column {column!r}; leave it out of the "
                "latter"
            )
    table = read_table(
        file,
        others | roles,
        "--columns",
        if_empty="--drop-incomplete drops such rows",
    )
    dropped = {}
    if config.drop_incomplete:
        complete = _complete(table, list(roles))
        if complete.frame.height < table.frame.height:
            dropped["--drop-incomplete"] = table.frame.height - complete.frame.height
        table = complete
        if table.frame.is_empty():
            raise UserError(f"{file.path} has no complete row; leave --drop-incomplete out")
    log, ticks, notes = _read_log(table, config)
    log = log.with_columns(values_of(table, each) for each in others)
    notes = [*file.notes, *notes]
    known = log["item"].unique(maintain_order=True)
    described = no_items(known)
    if items is not None and items.items is not None:
        described, more = read_items(
            items,
            known,
            log_column=config.item_column,
            encoding=config.encoding,
            features=item_features,
        )
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


def _read_log(table: Table, config: LogConfig) -> tuple[pl.DataFrame, int | None, list[str]]:
    """Read each column as what it is; give the unit of the times, and say what is odd."""
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
    return log, ticks, notes


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


def _complete(table: Table, names: Sequence[str]) -> Table:
    """Keep the rows that have something in each of some columns."""
    is_there = [_is_there(table.frame[name]) for name in names]
    return table.take(pl.select(pl.all_horizontal(is_there)).to_series())


def _is_there(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return (column != "").fill_null(False)
    return (column.fill_nan(None) if column.dtype.is_float() else column).is_not_null()
