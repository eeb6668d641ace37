"""Files that hold a table, whatever their format: their columns, and the place of a row."""

import glob
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from jaxrec.data.sources.delimited import SEPARATORS, Delimited, open_delimited, read_lines
from jaxrec.errors import UserError

_JSON = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_PACKED = (".gz", ".zst")
# What a table that lies in memory is called.
IN_MEMORY = "dataframe"
FORMATS = f"{' '.join(SEPARATORS)} {' '.join(_JSON)} (these as .gz or .zst too) or .parquet"


@dataclass(frozen=True)
class Typed:
    """A table whose format tells numbers from text."""

    path: Path
    rows: pl.LazyFrame
    names: list[str]

    is_typed = True
    notes = ()

    def scan(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Choose some columns."""
        return self.rows.select(columns)


@dataclass(frozen=True)
class Parquet(Typed):
    """Parquet files, one after the other in the order of their names."""

    files: list[Path]

    def place(self, row: int) -> str:
        """Name the file and the row, counted from 1 in it."""
        first, *others = self.files
        height = pl.scan_parquet(first, glob=False).select(pl.len()).collect().item()
        if row < height:
            return f"{first}, row {row + 1}"
        return replace(self, files=others).place(row - height)

    def explain(self) -> None:
        """Leave it to what Polars said."""


@dataclass(frozen=True)
class JsonLines(Typed):
    """One JSON object a line."""

    def place(self, row: int) -> str:
        """Count the objects."""
        return f"{self.path}, row {row + 1}"

    def explain(self) -> None:
        """Refuse the first line that is no object."""
        _refuse_no_object(self.path)


@dataclass(frozen=True)
class InMemory(Typed):
    """A table that was handed over in Python."""

    def place(self, row: int) -> str:
        """Count the rows from 1."""
        return f"{self.path}, row {row + 1}"

    def explain(self) -> None:
        """Leave it to what Polars said."""


def _refuse_no_object(path: Path) -> None:
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip() and not _is_object(line):
            raise UserError(
                f"{path}, line {number}: {line[:60]!r} is no JSON object; write one a line"
            )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


# What each has: `path`, as messages call it; `names` of the columns; `is_typed`, whether it tells
# numbers from text; `notes` of what had to be found out; scan, place and explain.
TableFile = Delimited | Parquet | JsonLines | InMemory


def named(columns: str | None, flag: str) -> list[str] | None:
    """Cut the names of the columns of a file without a header.

    Raises:
        UserError: one is there twice.
    """
    if columns is None:
        return None
    names = columns.split(",")
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{flag}={columns} names {name!r} twice; give each column its own name")
    return names


def open_table(
    name: str | pl.DataFrame,
    flag: str,
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    encoding_flag: str = "--log.encoding",
) -> TableFile:
    """Find out the format of a table, by the name of its file.

    Args:
        name: a file, a folder or a pattern of Parquet files, or the table itself.
        flag: the one that gave the name.
        columns: the names of its columns, if its first line does not hold them.
        separator: what stands between the fields of a text, if that is known.
        encoding: of a text, if that is known ...
        encoding_flag: ... and what says it.

    Raises:
        UserError: there is no such file, its format is unknown, or it cannot be read.
    """
    if isinstance(name, pl.DataFrame):
        return InMemory(Path(IN_MEMORY), name.lazy(), name.columns)
    path = Path(name)
    if path.is_dir() or (not path.exists() and glob.has_magic(name)):
        return _many(name, flag)
    if not path.is_file():
        raise UserError(f"{path} is no file; give {flag} the path of a table: {FORMATS}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = ([each for each in suffixes if each not in _PACKED] or [""])[-1]
    if suffix in SEPARATORS:
        with explained(path):
            return open_delimited(
                path,
                SEPARATORS[suffix],
                columns=columns,
                separator=separator,
                encoding=encoding,
                encoding_flag=encoding_flag,
            )
    if suffix in _JSON:
        with explained(path, partial(_refuse_no_object, path)):
            rows = pl.scan_ndjson(path, infer_schema_length=None)
            return JsonLines(path, rows, rows.collect_schema().names())
    if suffix in _PARQUET:
        return _parquet(path, [path])
    raise UserError(f"{path} is of no known format; give {flag} one of {FORMATS}")


def _many(name: str, flag: str) -> Parquet:
    path = Path(name)
    anchor = Path(path.anchor)
    found = path.rglob("*") if path.is_dir() else anchor.glob(str(path.relative_to(anchor)))
    files = sorted(each for each in found if each.suffix.lower() in _PARQUET and each.is_file())
    if not files:
        raise UserError(f"{name} holds no .parquet file; give {flag} a file, or another folder")
    return _parquet(path, files)


def _parquet(path: Path, files: list[Path]) -> Parquet:
    with explained(path):
        # Spark writes a column's value into the names of folders: /day=2024-05-01/.
        rows = pl.scan_parquet(files, glob=False, hive_partitioning=path.is_dir())
        return Parquet(path, rows, rows.collect_schema().names(), files)


@contextmanager
def explained(path: Path, explain: Callable[[], None] | None = None) -> Iterator[None]:
    """Turn what Polars raises over a file into a UserError, of the row if `explain` finds it."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; give a file with rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if explain:
            explain()
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read ({reason}); write the file again") from error
