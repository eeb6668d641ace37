"""The file of a user's own log, opened: its format, and the column of each role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from jaxrec.data.sources.column_names import columns_named
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.table_file import TableFile, open_table, parse_column_names
from jaxrec.data.sources.tabular import Table, flags_by_column, read_table
from jaxrec.errors import UserError

_IF_EMPTY = "--log.drop-incomplete drops such rows"

# Common names of the columns of a log, as `columns_named` takes them.
_COMMON_NAMES = {
    "user": ("user", "userid", "customer", "customerid", "visitorid", "reviewerid", "memberid"),
    "item": (
        *("item", "itemid", "movieid", "productid", "articleid", "sku", "asin", "isbn"),
        *("videoid", "trackid", "songid", "bookid", "newsid"),
    ),
    "time": ("timestamp", "time", "datetime", "date", "createdat", "eventtime", "unixtime", "ts"),
}


@dataclass(frozen=True)
class LogFile:
    """An opened log of which no row has been read.

    Attributes:
        config: the settings to read it with.
        others: columns to read as they are, in addition to any role that they have.
        flags: each column to read, with the flag that named it.
        notes: remarks on what was inferred.
    """

    file: TableFile
    config: LogConfig
    others: Sequence[str]
    flags: Mapping[str, str]
    notes: Sequence[str]

    def read(self) -> Table:
        """Read all rows, as they are written.

        Raises:
            UserError: if a column is missing, there is no row, or a row cannot be parsed.
        """
        return read_table(self.file, self.flags, "--log.columns", if_empty=_IF_EMPTY)

    def table(self, frame: pl.DataFrame, rows: pl.Series) -> Table:
        """Return a table of some rows of the log, as they are written.

        Args:
            rows: the number of each in the log, from 0.
        """
        return Table(self.file, frame, rows, self.flags, _IF_EMPTY)


def open_log(
    name: str | pl.DataFrame,
    config: LogConfig,
    *,
    others: Mapping[str, str],
    flag: str = "--dataset",
) -> LogFile:
    """Open a log and infer its format.

    Args:
        name: a file, a folder or a glob pattern of Parquet files, or the table itself.
        others: columns to read as they are, each with the flag that named it.
        flag: the flag that gave `name`, for messages.

    Raises:
        UserError: if the log does not exist, or a column has two roles.
    """
    file = open_table(
        name,
        flag,
        columns=parse_column_names(config.columns, "--log.columns"),
        separator=config.separator,
        encoding=config.encoding,
    )
    config, column_notes = _recognize_columns(file, config)
    roles = flags_by_column(config.roles)
    role_columns = {"rating": config.rating, "event": config.event}
    # With --log.rating or --log.event, `rating` or `event` is that role, not a column of the file.
    others = {name: other for name, other in others.items() if not role_columns.get(name)}
    for column, other in others.items():
        if roles.get(column, "--log.rating") not in ("--log.rating", "--log.event"):
            raise UserError(
                f"{roles[column]} and {other} both name the column {column!r}; omit it from the "
                "latter"
            )
    notes = (*file.notes, *column_notes)
    return LogFile(file, config, tuple(others), {**others, **roles}, notes)


def _recognize_columns(file: TableFile, config: LogConfig) -> tuple[LogConfig, list[str]]:
    """Return a configuration with the columns of common names, where a default has no column.

    Raises:
        UserError: two columns could be meant.
    """
    found, notes = {}, []
    for role, common in _COMMON_NAMES.items():
        default = getattr(LogConfig, role)
        if getattr(config, role) != default or default in file.names:
            continue
        names = columns_named(file.names, common)
        if len(names) > 1:
            raise UserError(
                f"{file.path} has columns {names[0]!r} and {names[1]!r}, and either may hold the "
                f"{role}s; name one with --log.{role}"
            )
        if names:
            found[role] = names[0]
            notes.append(f"{role}s: read from column {names[0]!r}")
    return replace(config, **found), notes
