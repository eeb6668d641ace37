"""The table that describes the items: which of its columns say what, and what they say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from jaxrec.config.fields import flag_of
from jaxrec.data.sources.delimited import shown
from jaxrec.data.sources.ids import read_ids
from jaxrec.data.sources.table_file import TableFile, named, open_table
from jaxrec.data.sources.tabular import (
    Table,
    finite,
    one_role_each,
    read_table,
    text_of,
)
from jaxrec.errors import UserError

_TYPES = {"title": pl.String(), "genres": pl.List(pl.String), "year": pl.Int32()}


@dataclass(frozen=True)
class ItemTableConfig:
    """The table of --items: which of its columns is what, and how it is written."""

    group: ClassVar = "item-table"
    key: str | None = None
    """its column of the items' ids; by default the one that is named as in the log, or as usual"""
    title: str | None = None
    """its column of titles; by default the first that is named as usual: title, name, ..."""
    genres: str | None = None
    """its column of genres; by default the first that is named as usual: genres, category, ..."""
    year: str | None = None
    """its column of years; by default the first that is named as usual: year, ..."""
    columns: str | None = None
    """the names of its columns, if its first line does not hold them: item,title,genres"""
    encoding: str | None = None
    """its encoding, such as latin-1; by default that of the log, or UTF-8"""


# What people call these columns; compared without capitals, spaces, hyphens and underscores.
_USUAL = {
    "key": ("item", "itemid", "id", "productid", "articleid", "movieid", "videoid", "sku", "asin"),
    "title": ("title", "name", "itemname", "productname", "prodname", "producttitle", "movietitle"),
    "genres": ("genres", "genre", "categories", "category", "productgroupname", "tags"),
    "year": ("year", "releaseyear", "yearofpublication"),
}

# Titles and genres that say that there are none.
_NONE = ("", "null", "none", "nan", "na", "n/a", "\\n", "(no genres listed)")


def no_items(known: pl.Series) -> pl.DataFrame:
    """Give the item table of a log without one."""
    return pl.DataFrame(schema={"item": known.dtype} | _TYPES)


def read_items(
    name: str,
    config: ItemTableConfig,
    known: pl.Series,
    *,
    log_column: str = "item",
    encoding: str | None = None,
    features: Sequence[str] = (),
) -> tuple[pl.DataFrame, list[str]]:
    """Read what a table says of the known items, and what had to be guessed.

    Args:
        name: the file.
        config: how it is read.
        known: the raw items, each once.
        log_column: what the log calls its items.
        features: other columns that are read as they are.

    Returns:
        A table of ITEM_COLUMNS and these, with ids of the type of `known`; and notes.

    Raises:
        UserError: a file or column is missing, or a row cannot be read or is there twice.
    """
    file = _open(name, config, encoding)
    columns = _columns(file, config, log_column, features)
    flags = one_role_each({flag_of(config, role): name for role, name in columns.items()})
    others = [name for name in features if name not in (*_TYPES, *flags)]
    flags |= dict.fromkeys(others, "--item-features")
    table = read_table(file, flags, "--item-table.columns", if_empty="delete the row")
    key = columns.pop("key")
    described = [_description(table, role, columns.get(role)) for role in _TYPES]
    described += [_values(table, name) for name in features if name not in _TYPES]
    keyed = pl.DataFrame([read_ids(table, key).cast(pl.String).alias("key"), *described])
    keys = pl.DataFrame({"item": known, "key": known.cast(pl.String)})
    found = keys.join(keyed.with_columns(row=table.rows), on="key", maintain_order="right")
    if found.is_empty():
        raise UserError(
            f"{file.path} describes no item of the log: there the first one is {known[0]!r}, here "
            f"{keyed['key'][0]!r}; write the ids of --items as the log does, or give "
            f"{flag_of(config, 'key')}"
        )
    notes = [
        *file.notes,
        *_guesses({"ids": key, **columns}, log_column),
        *_missing(known, found, keyed["key"], file),
        *_empty(table, columns),
        *_cut(table, columns),
    ]
    return _once(found.drop("key"), file), notes


def ids_in_items(
    name: str,
    config: ItemTableConfig,
    *,
    log_column: str = "item",
    encoding: str | None = None,
    flag: str = "--items",
) -> pl.Series:
    """Read the ids of an item table, each once; `flag` gave its name.

    Raises:
        UserError: as in `read_items`.
    """
    file = _open(name, config, encoding, flag)
    key = _key(file, config, log_column)
    if key is None:
        raise _unknown(file, "the items' ids", "--item-table.key")
    table = read_table(
        file, {key: "--item-table.key"}, "--item-table.columns", if_empty="delete the row"
    )
    return read_ids(table, key).unique(maintain_order=True)


def _open(
    name: str, config: ItemTableConfig, encoding: str | None, flag: str = "--items"
) -> TableFile:
    return open_table(
        name,
        flag,
        columns=named(config.columns, flag_of(config, "columns")),
        encoding=config.encoding or encoding,
        encoding_flag=flag_of(config, "encoding"),
    )


def _key(file: TableFile, config: ItemTableConfig, log_column: str) -> str | None:
    return config.key or (log_column if log_column in file.names else _usual(file, "key"))


def _unknown(file: TableFile, what: str, flags: str) -> UserError:
    return UserError(
        f"{file.path} has no column that is known to hold {what}, only {shown(file.names)}; name "
        f"it with {flags}"
    )


def _columns(
    file: TableFile, config: ItemTableConfig, log_column: str, features: Sequence[str]
) -> dict[str, str]:
    """Give the column of the ids, and of what else there is.

    Raises:
        UserError: nothing is known to hold the ids, or nothing to describe an item.
    """
    key = _key(file, config, log_column)
    if key is None:
        raise _unknown(file, "the items' ids", "--item-table.key")
    found = {
        "title": config.title or _usual(file, "title"),
        "genres": config.genres or _usual(file, "genres"),
        "year": config.year or _usual(file, "year"),
    }
    columns = {role: name for role, name in found.items() if name}
    if columns or features:
        return {"key": key, **columns}
    raise _unknown(
        file,
        "title, genres or year",
        "--item-table.title, --item-table.genres or --item-table.year",
    )


def _usual(file: TableFile, role: str) -> str | None:
    """Find the first column that is named as usual."""
    plain = {re.sub(r"[\s_-]", "", name).lower(): name for name in reversed(file.names)}
    return next((plain[usual] for usual in _USUAL[role] if usual in plain), None)


def _description(table: Table, role: str, name: str | None) -> pl.Series:
    """Return what is known of the items, null where nothing is."""
    if name is None:
        return pl.Series(role, [None] * table.frame.height, _TYPES[role])
    column = table.frame[name].alias(role)
    if role == "genres" and column.dtype.is_nested():
        return column.cast(_TYPES[role])
    text = text_of(table.plain(name)).alias(role)
    text = text.set(_says_nothing(text), None)
    if role == "title":
        return text
    if role == "genres":
        return _split(text)
    year = finite(text).cast(pl.Int32, strict=False)
    table.require(name, year.is_not_null() | text.is_null(), "a year")
    return year


def _values(table: Table, name: str) -> pl.Series:
    """Return a column of values as text, or as lists of it."""
    column = table.frame[name]
    if column.dtype in (pl.List, pl.Array):
        return column.cast(pl.List(pl.String))
    text = text_of(table.plain(name))
    return text.set(_says_nothing(text), None)


def _says_nothing(text: pl.Series) -> pl.Series:
    return text.str.strip_chars().str.to_lowercase().is_in(_NONE)


def _split(text: pl.Series) -> pl.Series:
    """Cut genres at `|`, or else at commas; of the text of a list, the brackets are taken off."""
    is_list = text.str.contains(r"^\s*\[.*\]\s*$").fill_null(True).all()
    if is_list:
        text = text.str.strip_chars(" []").str.replace_all(r"""['"]""", "").replace("", None)
    parts = text.str.split(_genre_separator(text))
    return parts.list.eval(pl.element().str.strip_chars()).alias("genres")


def _genre_separator(text: pl.Series) -> str:
    return "," if not text.str.contains("|", literal=True).any() else "|"


def _guesses(columns: Mapping[str, str], log_column: str) -> list[str]:
    return [
        f"{role} of items: read from {name!r}"
        for role, name in columns.items()
        if name not in (role, log_column, "item")
    ]


def _missing(known: pl.Series, found: pl.DataFrame, keys: pl.Series, file: TableFile) -> list[str]:
    """Say which items the table lacks, and how it writes those that the log lacks."""
    lacking = known.filter(~known.is_in(found["item"].implode()))
    others = keys.filter(~keys.is_in(found["key"].implode()))
    if lacking.is_empty():
        return []
    has = f"; it has others, as {others[0]!r}" if len(others) else ""
    return [
        f"{len(lacking):,} of {len(known):,} items are not in {file.path}, as {lacking[0]!r}{has}"
    ]


def _empty(table: Table, columns: Mapping[str, str]) -> list[str]:
    """Say which titles and genres were taken as none, though something is written there."""
    notes = []
    for role, name in columns.items():
        if table.frame[name].dtype.is_nested():
            continue
        text = text_of(table.frame[name])
        words = text.filter(_says_nothing(text).fill_null(False)).unique(maintain_order=True)
        if len(words):
            notes.append(f"{role} of items: {shown(words.to_list())} is taken as none")
    return notes


def _cut(table: Table, columns: Mapping[str, str]) -> list[str]:
    """Say that genres were cut at commas, which may be part of a name."""
    name = columns.get("genres")
    if name is None or table.frame[name].dtype.is_nested():
        return []
    text = text_of(table.frame[name])
    if _genre_separator(text) == "|" or not text.str.contains(",", literal=True).any():
        return []
    return [f"genres of items: {name!r} is cut at its commas, for it has no |"]


def _once(found: pl.DataFrame, file: TableFile) -> pl.DataFrame:
    """Keep one row an item; rows that say the same of it are one.

    Raises:
        UserError: two rows say different things.
    """
    columns = [name for name in found.columns if name != "row"]
    different = found.unique(columns, keep="first", maintain_order=True)
    again = different.filter(~pl.col("item").is_first_distinct())
    if not again.is_empty():
        raise UserError(
            f"{file.place(again['row'][0])}: item {again['item'][0]!r} was described before, in "
            "other words; keep one row an item"
        )
    return different.select(columns)
