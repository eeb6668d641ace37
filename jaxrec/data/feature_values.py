"""Values of features of activities and users: as a column has them, a model and a file.

A column has raw values. A model takes ids, by which it looks vectors up; 0 is an unknown value. A
file takes what an app can know: the ids of values that it lists, numbers, and ages in seconds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32, Shaped

from jaxrec.data.gaps import gap_ids_of_ages
from jaxrec.errors import UserError
from jaxrec.schema import Feature, Owner

LARGEST = 1e38
"""What is larger, on either side of zero, or not a number, is an unknown number."""

# A number of more different values than this is known by its bucket, each of as many rows.
_MOST_NUMBERS = 32
_BUCKETS = 16


def number_values(
    column: pl.Series, of: Owner, flag: str
) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Number the values of a column, of numbers or of text; null is an unknown value.

    Args:
        flag: the one that named the column.

    Returns:
        The feature, and the id of each row.

    Raises:
        UserError: the column tells nothing apart, or everything.
    """
    if column.dtype.is_numeric():
        column = column.set(~(column.abs() <= LARGEST), None)
    known = column.drop_nulls()
    counts = known.alias("value").value_counts(name="count")
    values = counts.sort(["count", "value"], descending=[True, False])["value"]
    if known.is_empty():
        raise UserError(f"{flag}: nothing is known of {column.name}; leave it out")
    if len(values) == 1:
        raise UserError(f"{flag}: {column.name} has one value in all rows; leave it out")
    is_cut = column.dtype.is_float() and (known % 1 != 0).any()
    if len(values) == len(known) and not is_cut:
        raise UserError(
            f"{flag}: {column.name} is another in each of {len(known):,} rows, as an id is; leave "
            "it out"
        )
    if column.dtype.is_numeric() and len(values) > _MOST_NUMBERS:
        return _in_buckets(column, of, flag)
    if column.dtype.is_numeric():
        values = values.sort()
    ids = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
    numbers = column.replace_strict(values, ids, default=0, return_dtype=pl.Int32).to_numpy()
    return Feature(column.name, of, "id", len(values), tuple(map(plain, values))), numbers


def _in_buckets(column: pl.Series, of: Owner, flag: str) -> tuple[Feature, Int32[np.ndarray, " n"]]:
    """Cut numbers into buckets of about as many rows; what has many has a bucket of its own."""
    numbers = column.cast(pl.Float32).fill_null(np.nan).to_numpy()
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    if len(values) == 1:
        raise UserError(
            f"{flag}: {column.name} differs by less than a float32 can tell, which a file takes; "
            "count it from another zero"
        )
    middles = np.cumsum(counts) - counts / 2
    buckets = (middles * _BUCKETS / counts.sum()).astype(int)
    edges = values[1:][np.diff(buckets) > 0]
    feature = Feature(column.name, of, "number", len(edges) + 1, tuple(edges.tolist()))
    return feature, bucket_ids(feature, numbers)


def bucket_ids(
    feature: Feature, numbers: Float32[np.ndarray, "*shape"]
) -> Int32[np.ndarray, "*shape"]:
    """Give the bucket of each number, 0 for what is none."""
    edges = np.array(feature.values, np.float32)
    ids = 1 + np.searchsorted(edges, numbers, side="right")
    return np.where(np.abs(numbers) <= LARGEST, ids, 0).astype(np.int32)


def some_numbers(
    feature: Feature, ids: Int32[np.ndarray, "*shape"]
) -> Float32[np.ndarray, "*shape"]:
    """Give a number of each bucket; NaN for an unknown one."""
    edges = np.array(feature.values, np.float32)
    # The float just below an edge may be so small that a device takes it for zero.
    below = np.maximum(edges[:1] - np.maximum(np.abs(edges[:1]), 1), -LARGEST)
    numbers = np.concatenate([[np.nan], below, edges])
    return numbers.astype(np.float32)[ids]


def ids_of_inputs(
    features: Sequence[Feature], inputs: Mapping[str, Shaped[np.ndarray, "n *N"]]
) -> dict[str, Int32[np.ndarray, "n *N"]]:
    """Turn what a file takes into what a model takes.

    Args:
        features: of activities and users.
        inputs: by the names of features; what has another name stays as it is.
    """
    found = dict(inputs)
    for feature in features:
        given = inputs[feature.name]
        if feature.kind == "age":
            found[feature.name] = gap_ids_of_ages(given)
        elif feature.kind == "number":
            found[feature.name] = bucket_ids(feature, given)
        else:
            found[feature.name] = np.where((given > 0) & (given <= feature.size), given, 0)
    return found


def plain(value: str | float) -> str | int | float:
    """Give a value as people write it: a whole number without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
