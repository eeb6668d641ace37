"""The user table, which describes the users of a log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from jaxrec.config.fields import flag_of
from jaxrec.data.sources.ids import read_ids
from jaxrec.data.sources.table_file import open_table
from jaxrec.data.sources.tabular import read_table, values_of
from jaxrec.errors import UserError

# The column to join by. No feature can have this name, for it is no identifier.
_KEY = "the user's id"


@dataclass(frozen=True)
class UserTableConfig:
    """The user table of --users: the roles of its columns, and its format."""

    group: ClassVar = "user-table"
    key: str | None = None
    """column of user ids; default: the one with its name in the log, or `user`"""
    encoding: str | None = None
    """encoding, such as latin-1; default: that of the log, or UTF-8"""


def read_users(
    name: str,
    config: UserTableConfig,
    known: pl.Series,
    *,
    log_column: str,
    encoding: str | None,
    features: Sequence[str],
) -> tuple[pl.DataFrame, list[str]]:
    """Read the features of a log's users from the user table.

    Args:
        name: the file.
        config: the settings to read it with.
        known: the raw users of the log, each once.
        log_column: the name of the log's column of users.
        features: the columns to read.

    Returns:
        A row for each user: `user`, of the type of `known`, and the features; and notes.

    Raises:
        UserError: if a file or column is missing, a row cannot be read, or a user is described
            twice or not at all.
    """
    file = open_table(
        name,
        "--users",
        encoding=config.encoding or encoding,
        encoding_flag=flag_of(config, "encoding"),
    )
    key = config.key or (log_column if log_column in file.names else "user")
    flags = dict.fromkeys(features, "--user-features") | {key: "--user-table.key"}
    table = read_table(file, flags, "the header", if_empty="delete the row")
    keys = read_ids(table, key)
    described = pl.DataFrame(
        [keys.cast(pl.String).alias(_KEY), *(values_of(table, name) for name in features)]
    ).with_row_index("row")
    described = described.unique(pl.exclude("row"), keep="first", maintain_order=True)
    again = described.filter(~pl.col(_KEY).is_first_distinct())["row"]
    if len(again):
        raise UserError(
            f"{table.locate(again[0])}: user {keys[again[0]]!r:.40} has another description in an "
            "earlier row; keep one row per user"
        )
    described = described.drop("row")
    users = pl.DataFrame({"user": known, _KEY: known.cast(pl.String)})
    lacking = users.join(described, on=_KEY, how="anti", maintain_order="left")
    if lacking.height:
        raise UserError(
            f"{file.path} lacks {lacking.height:,} of {users.height:,} users of the log, such as "
            f"{lacking['user'][0]!r:.40}; add them (unknown values stay empty), or correct "
            f"--user-table.key={key}, whose first value is {keys[0]!r:.40}"
        )
    found = users.join(described, on=_KEY, how="left", maintain_order="left")
    return found.drop(_KEY), list(file.notes)
