"""Tables in files of any format, or in memory: their columns, and the location of a row."""

import glob
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from jaxrec.data.sources.delimited import SEPARATORS, Delimited, open_delimited
from jaxrec.data.sources.text_lines import read_lines
from jaxrec.errors import UserError

_JSON = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_COMPRESSED = (".gz", ".zst")
# The name of an in-memory table in messages and configurations.
IN_MEMORY = "dataframe"
FORMATS = f"{' '.join(SEPARATORS)} {' '.join(_JSON)} (these as .gz or .zst too) or .parquet"


@dataclass(frozen=True)
class Typed:
    """A table whose format has column types."""

    path: Path
    rows: pl.LazyFrame
    names: list[str]

    is_typed = True
    notes = ()

    def scan(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Return a lazy frame of the given columns."""
        return self.rows.select(columns)


@dataclass(frozen=True)
class Parquet(Typed):
    """Parquet files, concatenated in the order of their names."""

    files: list[Path]

    def locate(self, row: int) -> str:
        """Return the file and the number of the row within it, from 1."""
        first, *others = self.files
        height = pl.scan_parquet(first, glob=False).select(pl.len()).collect().item()
        if row < height:
            return f"{first}, row {row + 1}"
        return replace(self, files=others).locate(row - height)

    def raise_row_error(self) -> None:
        """Do nothing: the message of Polars is reported as it is."""


@dataclass(frozen=True)
class JsonLines(Typed):
    """A file with one JSON object per line."""

    def locate(self, row: int) -> str:
        """Return the file and the number of the object, from 1."""
        return f"{self.path}, row {row + 1}"

    def raise_row_error(self) -> None:
        """Raise a UserError for the first line that is not a JSON object."""
        _require_json_objects(self.path)


@dataclass(frozen=True)
class InMemory(Typed):
    """A table that was passed from Python."""

    def locate(self, row: int) -> str:
        """Return the name of the table and the number of the row, from 1."""
        return f"{self.path}, row {row + 1}"

    def raise_row_error(self) -> None:
        """Do nothing: the message of Polars is reported as it is."""


def _require_json_objects(path: Path) -> None:
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip() and not _is_object(line):
            raise UserError(
                f"{path}, line {number}: {line[:60]!r} is not a JSON object; write one per line"
            )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


# Common to all: `path` (the name in messages), `names` (of the columns), `is_typed` (whether the
# format has column types), `notes` (on what was inferred) and the methods scan, locate and
# raise_row_error.
TableFile = Delimited | Parquet | JsonLines | InMemory


def parse_column_names(columns: str | None, flag: str) -> list[str] | None:
    """Parse the comma-separated column names of a file without a header.

    Raises:
        UserError: if a name occurs twice.
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
    """Open a table; the suffix of its file determines the format.

    Args:
        name: a file, a folder or a glob pattern of Parquet files, or the table itself.
        flag: the flag that gave `name`, for messages.
        columns: the column names, if the first line does not have them.
        separator: the field separator of a text file; None: it is inferred.
        encoding: the encoding of a text file; None: UTF-8, or UTF-16 if a byte order mark says so.
        encoding_flag: the flag that sets the encoding, for messages.

    Raises:
        UserError: if the file does not exist, has an unknown format, or cannot be read.
    """
    if isinstance(name, pl.DataFrame):
        return InMemory(Path(IN_MEMORY), name.lazy(), name.columns)
    path = Path(name)
    if path.is_dir() or (not path.exists() and glob.has_magic(name)):
        return _open_parquet_files(name, flag)
    if not path.is_file():
        raise UserError(f"{path} is not a file; give {flag} the path of a table: {FORMATS}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = ([each for each in suffixes if each not in _COMPRESSED] or [""])[-1]
    if suffix in SEPARATORS:
        with read_errors(path):
            return open_delimited(
                path,
                SEPARATORS[suffix],
                columns=columns,
                separator=separator,
                encoding=encoding,
                encoding_flag=encoding_flag,
            )
    if suffix in _JSON:
        with read_errors(path, partial(_require_json_objects, path)):
            rows = pl.scan_ndjson(path, infer_schema_length=None)
            return JsonLines(path, rows, rows.collect_schema().names())
    if suffix in _PARQUET:
        return _open_parquet(path, [path])
    raise UserError(f"{path} has an unknown format; give {flag} one of {FORMATS}")


def _open_parquet_files(name: str, flag: str) -> Parquet:
    path = Path(name)
    anchor = Path(path.anchor)
    found = path.rglob("*") if path.is_dir() else anchor.glob(str(path.relative_to(anchor)))
    files = sorted(each for each in found if each.suffix.lower() in _PARQUET and each.is_file())
    if not files:
        raise UserError(f"{name} contains no .parquet file; give {flag} a file, or another folder")
    return _open_parquet(path, files)


def _open_parquet(path: Path, files: list[Path]) -> Parquet:
    with read_errors(path):
        # Spark encodes partition columns in the names of folders: /day=2024-05-01/.
        rows = pl.scan_parquet(files, glob=False, hive_partitioning=path.is_dir())
        return Parquet(path, rows, rows.collect_schema().names(), files)


@contextmanager
def read_errors(path: Path, raise_row_error: Callable[[], None] | None = None) -> Iterator[None]:
    """Convert read errors to a UserError; `raise_row_error` may raise one that names the row."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise UserError(f"{path} is empty; give a file with rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        if raise_row_error:
            raise_row_error()
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read ({reason}); write the file again") from error
