"""Values of activity and user features, in a column, in a model and in an exported file.

A column has raw values. A model takes ids, which index embedding tables; 0 is an unknown value. A
file takes what an app has: ids of the values that it lists, numbers, and ages in seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32, Shaped

from jaxrec.data.gaps import gap_ids_from_ages
from jaxrec.errors import UserError
from jaxrec.schema import Feature, Owner

MAX_MAGNITUDE = 1e38
"""Largest absolute value of a number; anything larger, and NaN, is unknown."""

# Numbers with more distinct values than this are encoded as buckets of about equal counts.
_MAX_DISTINCT = 32
_BUCKETS = 16


def encode_values(
    column: pl.Series, of: Owner, flag: str, earlier: Feature | None = None
) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Encode a column of numbers or text as ids; null is an unknown value.

    Args:
        flag: the flag that named the column, for error messages.
        earlier: the feature in an earlier run; its values keep their ids, and its buckets their
            edges.

    Returns:
        The feature, and the id of each row.

    Raises:
        UserError: the column is empty or constant, different in each row as an id is, or has
            changed from numbers to text or back.
    """
    if column.dtype.is_numeric():
        column = column.set(~(column.abs() <= MAX_MAGNITUDE), None)
    known = column.drop_nulls()
    counts = known.alias("value").value_counts(name="count")
    values = counts.sort(["count", "value"], descending=[True, False])["value"]
    if earlier is not None:
        return _encode_again(column, values, flag, earlier)
    if known.is_empty():
        raise UserError(f"{flag}: {column.name} has no values; omit it")
    if len(values) == 1:
        raise UserError(f"{flag}: {column.name} has the same value in all rows; omit it")
    is_fractional = column.dtype.is_float() and (known % 1 != 0).any()
    if len(values) == len(known) and not is_fractional:
        raise UserError(
            f"{flag}: {column.name} is different in each of {len(known):,} rows, as an id is; "
            "omit it"
        )
    if column.dtype.is_numeric() and len(values) > _MAX_DISTINCT:
        return _bucketize(column, of, flag)
    if column.dtype.is_numeric():
        values = values.sort()
    return _number(column, values, of)


def _number(
    column: pl.Series, values: pl.Series, of: Owner
) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Encode a column as ids of values, which are in the order of the ids."""
    ids = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
    numbers = column.replace_strict(values, ids, default=0, return_dtype=pl.Int32).to_numpy()
    return Feature(column.name, of, "id", len(values), tuple(map(display_value, values))), numbers


def _encode_again(
    column: pl.Series, values: pl.Series, flag: str, earlier: Feature
) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Encode a column as in an earlier run; new values stand behind those that it had."""
    had_numbers = not isinstance(earlier.values[0], str)
    if column.dtype.is_numeric() != had_numbers:
        kinds = ("numbers", "text") if had_numbers else ("text", "numbers")
        raise UserError(
            f"{flag}: {column.name} had {kinds[0]} in the run that this one starts from, such as "
            f"{earlier.values[0]!r:.40}, and has {kinds[1]} in the log; write them alike, or omit "
            "--from-run"
        )
    if earlier.kind == "number":
        feature = replace(earlier, name=column.name)
        return feature, bucket_ids(feature, column.cast(pl.Float32).fill_null(np.nan).to_numpy())
    is_whole = column.dtype.is_integer() and all(isinstance(each, int) for each in earlier.values)
    dtype = (pl.Int64 if is_whole else pl.Float64) if had_numbers else pl.String
    known = pl.Series(column.name, list(earlier.values), dtype=dtype)
    found = values.cast(dtype)
    known.append(found.filter(~found.is_in(known.to_list())))
    return _number(column.cast(dtype), known, earlier.of)


def _bucketize(column: pl.Series, of: Owner, flag: str) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Encode numbers as buckets of about equal counts; a frequent value has its own bucket."""
    numbers = column.cast(pl.Float32).fill_null(np.nan).to_numpy()
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    if len(values) == 1:
        raise UserError(
            f"{flag}: the values of {column.name} are equal in float32, the type of the file's "
            "inputs; subtract a constant from them"
        )
    middles = np.cumsum(counts) - counts / 2
    buckets = (middles * _BUCKETS / counts.sum()).astype(int)
    edges = values[1:][np.diff(buckets) > 0]
    feature = Feature(column.name, of, "number", len(edges) + 1, tuple(edges.tolist()))
    return feature, bucket_ids(feature, numbers)


def bucket_ids(
    feature: Feature, numbers: Float32[np.ndarray, "*shape"]
) -> Int32[np.ndarray, "*shape"]:
    """Return the bucket of each number, from 1; 0 for unknown numbers."""
    edges = np.array(feature.values, np.float32)
    ids = 1 + np.searchsorted(edges, numbers, side="right")
    return np.where(np.abs(numbers) <= MAX_MAGNITUDE, ids, 0).astype(np.int32)


def representative_numbers(
    feature: Feature, ids: Int32[np.ndarray, "*shape"]
) -> Float32[np.ndarray, "*shape"]:
    """Return a number from the bucket of each id; NaN for id 0, an unknown value."""
    edges = np.array(feature.values, np.float32)
    # Well below the first edge: the next smaller float may be subnormal, and flushed to zero.
    below = np.maximum(edges[:1] - np.maximum(np.abs(edges[:1]), 1), -MAX_MAGNITUDE)
    numbers = np.concatenate([[np.nan], below, edges])
    return numbers.astype(np.float32)[ids]


def encode_inputs(
    features: Sequence[Feature], inputs: Mapping[str, Shaped[np.ndarray, "n *N"]]
) -> dict[str, Int32[np.ndarray, "n *N"]]:
    """Convert the inputs of an exported file to those of a model.

    Args:
        features: of activities and users.
        inputs: by feature name; inputs of other names are returned unchanged.
    """
    converted = dict(inputs)
    for feature in features:
        given = inputs[feature.name]
        if feature.kind == "age":
            converted[feature.name] = gap_ids_from_ages(given)
        elif feature.kind == "number":
            converted[feature.name] = bucket_ids(feature, given)
        else:
            converted[feature.name] = np.where((given > 0) & (given <= feature.size), given, 0)
    return converted


def display_value(value: str | float) -> str | int | float:
    """Convert a whole float to an integer, for display; return other values unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
