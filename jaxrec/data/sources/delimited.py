"""Delimited text files: their encoding, separator and header, and the line of a row."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from jaxrec.data.sources.text_lines import decode, read_bytes, read_lines
from jaxrec.errors import UserError

# The separator that each suffix implies; None: it is inferred from the content.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".txt": None, ".dat": None}

# Tried where the suffix implies no separator, or the file does not use it. Dates and titles contain
# spaces too, so a space is chosen only if no other candidate occurs.
_CANDIDATES = ("\t", "::", ";", "|", ",", "\x01", " ")

# Replaces a separator of several bytes: Polars supports single-byte separators only.
_UNIT_SEPARATOR = "\x1f"

_SAMPLED_LINES = 20


@dataclass(frozen=True)
class Delimited:
    """A text file whose dialect is known; all columns are strings.

    Attributes:
        names: the column names, in order; a name may occur twice.
        separator: a single byte.
        quoted: whether fields may be quoted.
        skipped: the number of rows before the first one of data: empty ones, then the header.
        source: the input of Polars: the file, or its content where that had to be converted.
        encoding_flag: the flag that sets the encoding, for messages.
        is_spaced: whether each separator is followed by a space that is no part of the field.
        notes: remarks on what was inferred.
    """

    path: Path
    names: list[str]
    separator: str
    quoted: bool
    skipped: int
    source: Path | bytes
    encoding_flag: str
    is_spaced: bool = False
    notes: tuple[str, ...] = ()

    is_typed = False

    def scan(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Return a lazy frame of the given columns, as strings; missing fields are null."""
        fields = [str(place) for place in range(len(self.names))]
        frame = pl.scan_csv(
            self.source,
            has_header=False,
            skip_rows=self.skipped,
            schema=dict.fromkeys(fields, pl.String()),
            separator=self.separator,
            quote_char='"' if self.quoted else None,
            glob=False,
        )
        chosen = [pl.col(fields[self.names.index(name)]).alias(name) for name in columns]
        if self.is_spaced:
            chosen = [column.str.strip_prefix(" ") for column in chosen]
        return frame.select(chosen)

    def locate(self, row: int) -> str:
        """Return the file and the line where a row begins; row 0 follows the header."""
        line, _ = next(islice(self._records(), row + self.skipped, None))
        return f"{self.path}, line {line}"

    def raise_row_error(self) -> None:
        """Raise for the first row with too many fields, NUL bytes or invalid UTF-8.

        If there is none, raise for the first row with a bare quote.
        """
        suspect = None
        for line, record in self._records():
            text = self.separator.join(record)
            if len(record) > len(self.names):
                raise UserError(
                    f"{self.path}, line {line}: {text[:60]!r} has {len(record)} fields and the "
                    f"first line has {len(self.names)}; correct or delete the row"
                )
            if "\0" in text:
                raise UserError(
                    f"{self.path}, line {line} has NUL bytes, as a file that was not written to "
                    "its end; write it again"
                )
            if "\N{REPLACEMENT CHARACTER}" in text:
                raise UserError(
                    f"{self.path}, line {line}: {text[:60]!r} is not UTF-8; give "
                    f"{self.encoding_flag}, such as {self.encoding_flag}=latin-1, or convert the "
                    "file"
                )
            if suspect is None and '"' in text:
                suspect = _bare_quote(self.path, line, text)
        if suspect:
            raise suspect

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each record and the line where it begins, quoted newlines counted; slow."""
        lines = read_lines(self.source)
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        texts = (f"{line}\n" for line in lines)
        reader = csv.reader(texts, delimiter=self.separator, strict=True, quoting=quoting)
        line = 1
        try:
            for record in reader:
                yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            if "end of data" in str(error):
                raise UserError(
                    f"{self.path}, line {line}: a quote is opened here and never closed; close it"
                ) from None
            raise _bare_quote(self.path, line, lines[line - 1]) from None


def _bare_quote(path: Path, line: int, text: str) -> UserError:
    return UserError(
        f"{path}, line {line}: {text[:60]!r} seems to have an unescaped quote; double it and "
        "quote the field"
    )


def open_delimited(
    path: Path,
    implied_separator: str | None,
    *,
    columns: Sequence[str] | None,
    separator: str | None,
    encoding: str | None,
    encoding_flag: str,
) -> Delimited:
    """Open a text file and infer its dialect.

    Args:
        implied_separator: the separator that its suffix implies, or None.
        columns: the column names, if the first line does not have them.
        separator: the field separator; None: it is inferred.
        encoding: Python's name of the encoding; None: UTF-8, or UTF-16 after a byte order mark.
        encoding_flag: the flag that sets the encoding, for messages.

    Raises:
        UserError: if the file is empty or not a text of this encoding.
        OSError: if the file cannot be read.
    """
    source = decode(path, encoding, encoding_flag)
    lines = read_lines(source, _SAMPLED_LINES).to_list()
    if any("\r" in line.rstrip("\r") for line in lines):
        source = read_bytes(source).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = read_lines(source, _SAMPLED_LINES).to_list()
    sample = [line for line in lines if line]
    separator = {"tab": "\t", "\\t": "\t"}.get(separator or "", separator)
    notes = []
    preamble, hint = _preamble(sample)
    if preamble:
        notes.append(f"{path}: the first line, {preamble[:40]!r}, is skipped")
        separator, sample = separator or hint, sample[1:]
    if not sample:
        raise UserError(f"{path} is empty; give a file with rows")
    first_row = lines.index(sample[0])
    skipped = first_row if columns else first_row + 1
    found = separator or _find_separator(sample, implied_separator)
    if not separator and found != (implied_separator or found):
        notes.append(f"{path}: field separator inferred as {found!r}")
    is_recbole = ".inter" in path.suffixes
    quoted = len(found.encode()) == 1 and not is_recbole
    if len(found.encode()) != 1:
        source = read_bytes(source).replace(found.encode(), _UNIT_SEPARATOR.encode())
        sample = [line.replace(found, _UNIT_SEPARATOR) for line in sample]
        found = _UNIT_SEPARATOR
    first = _split_fields(sample[0], found) if quoted else sample[0].split(found)
    if is_recbole:  # RecBole appends a type to each name: user_id:token
        first = [name.partition(":")[0] for name in first]
    rows = [_split_fields(line, found) for line in sample[0 if columns else 1 :]]
    is_spaced = bool(rows) and all(_is_spaced(fields) for fields in rows)
    if is_spaced:
        notes.append(f"{path}: a space after each separator is not read as part of the field")
        first = [name.removeprefix(" ") for name in first]
    names = list(columns or first)
    if rows and all(len(fields) == len(names) + 1 and not fields[-1] for fields in rows):
        notes.append(f"{path}: the separator at the end of each row is ignored")
        names.append("")
    elif len(names) != len(first):
        raise UserError(
            f"{path}: its first line has {len(first)} fields, {format_names(first)}, and "
            f"{len(names)} names were given, {','.join(names)}; name each field"
        )
    return Delimited(
        *(path, names, found, quoted, skipped, source, encoding_flag),
        is_spaced,
        tuple(notes),
    )


def _preamble(sample: Sequence[str]) -> tuple[str, str | None]:
    """Return the first line if it precedes the header, and the separator that it names, if any.

    It is `sep=;`, which Excel writes and reads, or a comment: `#` before text that has another
    number of fields than the next line.
    """
    if not sample:
        return "", None
    first, *others = sample
    if found := re.fullmatch(r'"?sep=(.)"?\r?', first, re.IGNORECASE):
        return first, found[1]
    if first.startswith("#") and others:
        separator = _find_separator(others, None)
        if len(_split_fields(first, separator)) != len(_split_fields(others[0], separator)):
            return first, None
    return "", None


def _is_spaced(fields: Sequence[str]) -> bool:
    return len(fields) > 1 and all(field.startswith(" ") for field in fields[1:])


def format_names(names: Sequence[str], limit: int = 12) -> str:
    """Format the first `limit` names as a list in quotes, each cut to 40 characters."""
    formatted = ", ".join(repr(name[:40]) for name in names[:limit])
    more = len(names) - limit
    return formatted + (f" and {more:,} more" if more > 0 else "")


def _find_separator(lines: Sequence[str], implied_separator: str | None) -> str:
    """Return the separator that splits all lines into the same number of fields.

    `implied_separator` is preferred; among others, or if there is no such separator, the one that
    splits the first line into the most fields.
    """
    counts = {each: [len(_split_fields(line, each)) for line in lines] for each in _CANDIDATES}
    splitting = {each: count for each, count in counts.items() if count[0] > 1}
    if len(splitting) > 1:
        splitting.pop(" ", None)
    even = {each: count for each, count in splitting.items() if len(set(count)) == 1}
    if implied_separator in even:
        return implied_separator
    best = even or splitting
    return max(best, key=lambda each: best[each][0]) if best else implied_separator or ","


def _split_fields(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:
        return line.split(separator)
