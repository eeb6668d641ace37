"""Ids of users and items: their types, and notes on suspicious values."""

import polars as pl

from jaxrec.data.sources.tabular import Table, text_of

# Usual spellings of a missing value.
_MISSING = ("null", "(null)", "none", "nan", "na", "n/a", "nil", "undefined", "unknown", "\\n", "-")

# The largest magnitude up to which Float64 represents every integer.
_MAX_EXACT = 2**53

_WHOLE_FLOAT = r"^(-?\d+)\.0+$"

# As a spreadsheet writes numbers of many digits.
_SCIENTIFIC = r"^\d(?:[.,]\d+)?[eE]\+\d+$"

# The offset and the length of each group of hexadecimal digits in a UUID.
_UUID_PARTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))


def read_ids(table: Table, name: str) -> pl.Series:
    """Read a column of ids as integers or strings, none missing or empty.

    Whole numbers become integers, whatever the numeric type of the column. A column of a text file
    becomes integers if every value is written as an integer prints, so that "007" stays a string,
    or if every value is written like "15.0". Sixteen bytes that are not text become a UUID.

    Raises:
        UserError: if a row has no id.
    """
    column = table.scalar_column(name)
    ids = _ids(column)
    table.require(name, ids.is_not_null(), "an id")
    return ids if table.file.is_typed else _integers(ids)


def _ids(column: pl.Series) -> pl.Series:
    if column.dtype.is_integer():
        return column
    if column.dtype.is_float() or column.dtype.is_decimal():
        return _as_integers(column)
    if column.dtype == pl.Binary:
        return _from_bytes(column)
    return text_of(column)


def _as_integers(numbers: pl.Series) -> pl.Series:
    """Cast whole numbers to integers, or all to strings if one is fractional or too large."""
    if numbers.dtype.is_float():
        numbers = numbers.fill_nan(None)
        numbers_are_exact = (numbers.abs() <= _MAX_EXACT).all()
    else:
        numbers_are_exact = True
    integers = numbers.cast(pl.Int64, strict=False)
    is_whole = integers.cast(numbers.dtype, strict=False).eq_missing(numbers).all()
    return integers if is_whole and numbers_are_exact else text_of(numbers)


def _from_bytes(column: pl.Series) -> pl.Series:
    """Decode bytes as text, or as UUIDs if each has 16 and not all are text; null if neither."""
    text = text_of(column)
    is_text = text.is_not_null() & ~text.str.contains(r"\p{Cc}").fill_null(True)
    if is_text.all() or (column.bin.size() != 16).any():
        return text
    parts = [column.bin.encode("hex").str.slice(*each) for each in _UUID_PARTS]
    return pl.select(pl.concat_str(parts, separator="-")).to_series()


def _integers(ids: pl.Series) -> pl.Series:
    """Cast strings to integers if all are written as integers, or all as integers with ".0"."""
    for text in (ids, ids.str.extract(_WHOLE_FLOAT)):
        integers = text.cast(pl.Int64, strict=False)
        if integers.cast(pl.String).eq_missing(text).all() and not integers.has_nulls():
            return integers
    return ids


def suspicious_id_notes(role: str, ids: pl.Series) -> list[str]:
    """Return notes on ids that may be missing values, and on ids that may be duplicates.

    Args:
        role: "user" or "item".
    """
    if ids.dtype != pl.String:
        return []
    return [*_missing(role, ids), *_scientific(role, ids), *_near_duplicates(role, ids)]


def _missing(role: str, ids: pl.Series) -> list[str]:
    found = ids.filter(ids.str.strip_chars().str.to_lowercase().is_in(_MISSING))
    if found.is_empty():
        return []
    counts = found.value_counts(sort=True).rows()
    each = ", ".join(f"{value!r} in {count:,} rows" for value, count in counts[:3])
    return [f"an id that may be a missing value: {role} {each}; drop these rows if it is"]


def _scientific(role: str, ids: pl.Series) -> list[str]:
    """Return a note on ids that a spreadsheet has rounded, so that different ones became equal."""
    found = ids.filter(ids.str.contains(_SCIENTIFIC))
    if found.is_empty():
        return []
    return [
        f"{len(found):,} rows have {role} ids in scientific notation, such as {found[0]!r}: a "
        f"spreadsheet dropped digits, so that different {role}s may have one id; export the ids "
        "as text"
    ]


def _near_duplicates(role: str, ids: pl.Series) -> list[str]:
    """Return a note if ids differ only in case, spaces, Unicode form, ".0" or leading zeros."""
    different = ids.unique(maintain_order=True)
    plain = (
        different.str.normalize("NFKC")
        .str.strip_chars()
        .str.replace(_WHOLE_FLOAT, "${1}")
        .str.replace(r"^0+(\d)", "${1}")
        .str.to_lowercase()
    )
    again = ~plain.is_first_distinct()
    if not again.any():
        return []
    pair = different.filter(plain == plain.filter(again)[0])
    return [
        f"{different.len():,} {role}s, but only {plain.n_unique():,} if case, spaces, "
        f"leading zeros, '.0' and forms of Unicode are ignored: {pair[0]!r} and {pair[1]!r} are "
        "different ids"
    ]
