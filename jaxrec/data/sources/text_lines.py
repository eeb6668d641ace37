"""Lines of text files, compressed or not, and in any encoding."""

import gzip
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

import polars as pl

from jaxrec.errors import UserError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def decode(path: Path, encoding: str | None, flag: str) -> Path | bytes:
    """Return the path itself if the file is read as UTF-8, otherwise its content as UTF-8."""
    with path.open("rb") as file:
        start = file.read(4)
    if encoding is None and start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    if encoding is None:
        return path
    if start == _ZSTD:
        raise UserError(f"{path} is compressed and not UTF-8; unpack it with `unzstd` first")
    try:
        return read_bytes(path).decode(encoding).encode()
    except LookupError:
        raise UserError(
            f"{flag}={encoding} is unknown; give utf-8, latin-1, utf-16, shift_jis, ..."
        ) from None
    except UnicodeError as error:
        raise UserError(f"{path} is not {encoding} ({error}); change {flag}") from None


def read_bytes(source: Path | bytes) -> bytes:
    """Read the whole content, decompressed."""
    if isinstance(source, bytes):
        return source
    data = source.read_bytes()
    if data.startswith(_GZIP):
        return gzip.decompress(data)
    if data.startswith(_ZSTD):
        return "\n".join(read_lines(source)).encode()
    return data


def read_lines(source: Path | bytes, limit: int | None = None) -> pl.Series:
    """Read the lines of a text, decompressed; invalid UTF-8 becomes U+FFFD."""
    lines = scan_lines(source)
    return (lines if limit is None else lines.head(limit)).collect()["line"]


def scan_lines(source: Path | bytes) -> pl.LazyFrame:
    """Return a lazy frame of the lines that `read_lines` reads, in the column `line`."""
    return pl.scan_csv(
        source,
        has_header=False,
        separator="\n",
        quote_char=None,
        schema={"line": pl.String},
        encoding="utf8-lossy",
        raise_if_empty=False,
        glob=False,
    ).select(pl.col("line").fill_null(""))
