"""The item table, which describes the items of a log: its columns and their values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from jaxrec.config.fields import flag_of
from jaxrec.data.sources.column_names import columns_named
from jaxrec.data.sources.delimited import format_names
from jaxrec.data.sources.ids import read_ids
from jaxrec.data.sources.table_file import TableFile, open_table, parse_column_names
from jaxrec.data.sources.tabular import (
    Table,
    finite_numbers,
    flags_by_column,
    read_table,
    text_of,
)
from jaxrec.errors import UserError

_TYPES = {"title": pl.String(), "genres": pl.List(pl.String), "year": pl.Int32()}


@dataclass(frozen=True)
class ItemTableConfig:
    """The item table of --items: the roles of its columns, and its format."""

    group: ClassVar = "item-table"
    key: str | None = None
    """column of item ids; default: the one with its name in the log, or a common name"""
    title: str | None = None
    """column of titles; default: the first with a common name: title, name, ..."""
    genres: str | None = None
    """column of genres; default: the first with a common name: genres, category, ..."""
    year: str | None = None
    """column of years; default: the first with a common name: year, ..."""
    columns: str | None = None
    """column names of a table without a header: item,title,genres"""
    encoding: str | None = None
    """encoding, such as latin-1; default: that of the log, or UTF-8"""


# Common names of these columns, as `columns_named` takes them.
_COMMON_NAMES = {
    "key": ("item", "itemid", "id", "productid", "articleid", "movieid", "videoid", "sku", "asin"),
    "title": ("title", "name", "itemname", "productname", "prodname", "producttitle", "movietitle"),
    "genres": ("genres", "genre", "categories", "category", "productgroupname", "tags"),
    "year": ("year", "releaseyear", "yearofpublication"),
}

# Titles and genres that stand for a missing value.
_MISSING_VALUES = ("", "null", "none", "nan", "na", "n/a", "\\n", "(no genres listed)")


def empty_item_table(known: pl.Series) -> pl.DataFrame:
    """Return the empty item table of a log that has none."""
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
    """Read the descriptions of a log's items from an item table.

    Args:
        name: the file.
        config: the settings to read it with.
        known: the raw items of the log, each once.
        log_column: the name of the log's column of items.
        features: other columns to read as they are.

    Returns:
        A table of ITEM_COLUMNS and `features`, with ids of the type of `known`; and notes.

    Raises:
        UserError: if a file or column is missing, a row cannot be read, two rows describe an item
            differently, or no item of the log is described.
    """
    file = _open(name, config, encoding)
    columns = _columns(file, config, log_column, features)
    flags = flags_by_column({flag_of(config, role): name for role, name in columns.items()})
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
            f"{file.path} describes no item of the log, whose first item is {known[0]!r}: its own "
            f"is {keyed['key'][0]!r}; write the ids of --items as in the log, or change "
            f"{flag_of(config, 'key')}"
        )
    notes = [
        *file.notes,
        *_column_notes({"ids": key, **columns}, log_column),
        *_missing_notes(known, found, keyed["key"], file),
        *_empty_notes(table, columns),
        *_comma_notes(table, columns),
    ]
    return _unique_items(found.drop("key"), file), notes


def read_item_ids(
    name: str,
    config: ItemTableConfig,
    *,
    log_column: str = "item",
    encoding: str | None = None,
    flag: str = "--items",
) -> pl.Series:
    """Read the distinct ids of an item table; `flag` is the flag that gave `name`.

    Raises:
        UserError: as in `read_items`.
    """
    file = _open(name, config, encoding, flag)
    key = _key(file, config, log_column)
    if key is None:
        raise _unknown(file, "item ids", "--item-table.key")
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
        columns=parse_column_names(config.columns, flag_of(config, "columns")),
        encoding=config.encoding or encoding,
        encoding_flag=flag_of(config, "encoding"),
    )


def _key(file: TableFile, config: ItemTableConfig, log_column: str) -> str | None:
    return config.key or (log_column if log_column in file.names else _match_name(file, "key"))


def _unknown(file: TableFile, what: str, flags: str) -> UserError:
    return UserError(
        f"{file.path} has no recognized column of {what}, only "
        f"{format_names(file.names)}; name it with {flags}"
    )


def _columns(
    file: TableFile, config: ItemTableConfig, log_column: str, features: Sequence[str]
) -> dict[str, str]:
    """Return the column of the ids and of each other role that the table has, by role.

    Raises:
        UserError: if there is no column of ids, or none that describes an item.
    """
    key = _key(file, config, log_column)
    if key is None:
        raise _unknown(file, "item ids", "--item-table.key")
    found = {
        "title": config.title or _match_name(file, "title"),
        "genres": config.genres or _match_name(file, "genres"),
        "year": config.year or _match_name(file, "year"),
    }
    columns = {role: name for role, name in found.items() if name}
    if columns or features:
        return {"key": key, **columns}
    raise _unknown(
        file,
        "title, genres or year",
        "--item-table.title, --item-table.genres or --item-table.year",
    )


def _match_name(file: TableFile, role: str) -> str | None:
    """Return the column with the first of a role's common names, or None."""
    return next(iter(columns_named(file.names, _COMMON_NAMES[role])), None)


def _description(table: Table, role: str, name: str | None) -> pl.Series:
    """Return the values of a role, null where the table has none."""
    if name is None:
        return pl.Series(role, [None] * table.frame.height, _TYPES[role])
    column = table.frame[name].alias(role)
    if role == "genres" and column.dtype.is_nested():
        return column.cast(_TYPES[role])
    text = text_of(table.scalar_column(name)).alias(role)
    text = text.set(_is_missing(text), None)
    if role == "title":
        return text
    if role == "genres":
        return _split(text)
    year = finite_numbers(text).cast(pl.Int32, strict=False)
    table.require(name, year.is_not_null() | text.is_null(), "a year")
    return year


def _values(table: Table, name: str) -> pl.Series:
    """Return a column as strings, or as lists of strings."""
    column = table.frame[name]
    if column.dtype in (pl.List, pl.Array):
        return column.cast(pl.List(pl.String))
    text = text_of(table.scalar_column(name))
    return text.set(_is_missing(text), None)


def _is_missing(text: pl.Series) -> pl.Series:
    return text.str.strip_chars().str.to_lowercase().is_in(_MISSING_VALUES)


def _split(text: pl.Series) -> pl.Series:
    """Split genres at `|`, or else at commas; brackets and quotes of a printed list are removed."""
    is_list = text.str.contains(r"^\s*\[.*\]\s*$").fill_null(True).all()
    if is_list:
        text = text.str.strip_chars(" []").str.replace_all(r"""['"]""", "").replace("", None)
    parts = text.str.split(_genre_separator(text))
    return parts.list.eval(pl.element().str.strip_chars()).alias("genres")


def _genre_separator(text: pl.Series) -> str:
    return "," if not text.str.contains("|", literal=True).any() else "|"


def _column_notes(columns: Mapping[str, str], log_column: str) -> list[str]:
    return [
        f"item {role}: read from {name!r}"
        for role, name in columns.items()
        if name not in (role, log_column, "item")
    ]


def _missing_notes(
    known: pl.Series, found: pl.DataFrame, keys: pl.Series, file: TableFile
) -> list[str]:
    """Return a note on items that the table lacks, with an id that only the table has."""
    lacking = known.filter(~known.is_in(found["item"].implode()))
    others = keys.filter(~keys.is_in(found["key"].implode()))
    if lacking.is_empty():
        return []
    has = f"; it has others, such as {others[0]!r}" if len(others) else ""
    return [
        f"{len(lacking):,} of {len(known):,} items are not in {file.path}, such as {lacking[0]!r}"
        f"{has}"
    ]


def _empty_notes(table: Table, columns: Mapping[str, str]) -> list[str]:
    """Return notes on titles and genres whose text stands for a missing value."""
    notes = []
    for role, name in columns.items():
        if table.frame[name].dtype.is_nested():
            continue
        text = text_of(table.frame[name])
        words = text.filter(_is_missing(text).fill_null(False)).unique(maintain_order=True)
        if len(words):
            notes.append(f"item {role}: {format_names(words.to_list())} is read as missing")
    return notes


def _comma_notes(table: Table, columns: Mapping[str, str]) -> list[str]:
    """Return a note if genres were split at commas, which may be part of a name."""
    name = columns.get("genres")
    if name is None or table.frame[name].dtype.is_nested():
        return []
    text = text_of(table.frame[name])
    if _genre_separator(text) == "|" or not text.str.contains(",", literal=True).any():
        return []
    return [f"item genres: {name!r} is split at commas, because it has no |"]


def _unique_items(found: pl.DataFrame, file: TableFile) -> pl.DataFrame:
    """Keep one row per item; rows that repeat a description are dropped.

    Raises:
        UserError: if two rows describe an item differently.
    """
    columns = [name for name in found.columns if name != "row"]
    different = found.unique(columns, keep="first", maintain_order=True)
    again = different.filter(~pl.col("item").is_first_distinct())
    if not again.is_empty():
        raise UserError(
            f"{file.locate(again['row'][0])}: item {again['item'][0]!r} has another description in "
            "an earlier row; keep one row per item"
        )
    return different.select(columns)
