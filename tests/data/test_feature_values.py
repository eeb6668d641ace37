"""Feature values: encoding of columns in training and of raw inputs on a device."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.feature_values import (
    MAX_MAGNITUDE,
    bucket_ids,
    encode_inputs,
    encode_values,
    representative_numbers,
)
from jaxrec.data.gaps import GAP_EDGES, gap_ids_from_ages
from jaxrec.errors import UserError
from jaxrec.schema import AGE, ITEM, Feature

INT32 = np.iinfo(np.int32)


def encode(values, dtype=None, name="rating"):
    column = pl.Series(name, values, dtype=dtype)
    return encode_values(column, "activity", "--activity-features")


@pytest.mark.parametrize(
    ("values", "known", "ids"),
    [
        # Text is ordered by descending frequency; ties are alphabetical.
        (["b", "c", None, "c", "a", "b", "c"], ("c", "b", "a"), [2, 1, 0, 1, 3, 2, 1]),
        (["b", "a", "b", "a"], ("a", "b"), [2, 1, 2, 1]),
        (["é", "x" * 10_000, "é", "\N{GRINNING FACE}"], ("é", "x" * 10_000, "\N{GRINNING FACE}"),
         [1, 2, 1, 3]),
        # Numbers are in ascending order; whole numbers become ints.
        ([5.0, 1.0, None, 5.0, 3.5], (1, 3.5, 5), [3, 1, 0, 3, 2]),
        ([10, 9, 10, -1], (-1, 9, 10), [3, 2, 3, 1]),
        # NaN, infinity and magnitudes beyond the limit are unknown.
        ([2.0, math.nan, 1.0, 2.0, math.inf, -2e38], (1, 2), [2, 0, 1, 2, 0, 0]),
    ],
    ids=["text", "ties", "any text", "numbers", "integers", "no numbers"],
)  # fmt: skip
def test_values_are_encoded_as_ids(values, known, ids):
    feature, found = encode(values)
    assert feature == Feature("rating", "activity", "id", len(known), known)
    assert list(map(type, feature.values)) == list(map(type, known))
    assert found.tolist() == ids
    assert found.dtype == np.int32


def test_column_names_do_not_collide_with_internal_names():
    """Check names that value counts also use."""
    for name in ("count", "value", "len", "literal"):
        feature, ids = encode(["a", "b", "a"], name=name)
        assert (feature.name, ids.tolist()) == (name, [1, 2, 1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["x", "x", None], "rating has the same value in all rows; omit it"),
        ([3.0, math.nan, 3.0], "rating has the same value in all rows; omit it"),
        ([None, None], "rating has no values; omit it"),
        ([math.nan, math.inf], "rating has no values; omit it"),
        (list("abc"), "rating is different in each of 3 rows, as an id is"),
        ([*range(1000)], "rating is different in each of 1,000 rows, as an id is"),
        (
            [*map(float, range(1000)), None],
            "rating is different in each of 1,000 rows, as an id is",
        ),
        ([1e9 + each / 100 for each in range(50)], "are equal in float32"),
    ],
    ids=str,
)
def test_constant_and_unique_columns_are_rejected(values, message):
    with pytest.raises(UserError, match=message):
        encode(values, pl.Float64 if isinstance(values[0], float) else None)


def test_unique_fractions_are_bucketed_as_numbers():
    feature, _ = encode([each / 7 for each in range(100)])
    assert (feature.kind, feature.size) == ("number", 16)


def test_many_distinct_numbers_are_bucketed_by_quantiles():
    feature, ids = encode([*range(33)] * 2)
    assert (feature.kind, feature.size, len(feature.values)) == ("number", 16, 15)
    counts = np.bincount(ids)
    assert counts[0] == 0
    assert set(counts[1:].tolist()) <= {4, 6}
    # Up to 32 distinct numbers each have an id.
    assert encode([*range(32)] * 2)[0].kind == "id"


def test_a_dominant_value_has_a_separate_bucket():
    """Use prices, most of which are zero."""
    numbers = [float(each) for each in range(-20, 60)]
    feature, ids = encode(numbers + [0.0] * 2000)
    paid = np.array(numbers)
    (free,) = set(ids[80:].tolist())
    below, above = ids[:80][paid < 0], ids[:80][paid > 0]
    assert below.max() < free < above.min()
    assert feature.size == len(feature.values) + 1 <= 16
    # The same holds if the dominant value is the minimum.
    feature, ids = encode([each for each in numbers if each >= 0] + [0.0] * 2000)
    assert feature.size >= 2
    assert (ids[1:60] > ids[0]).all()


numbers = st.floats(allow_subnormal=False, width=32)
columns = st.lists(st.none() | numbers, min_size=40, max_size=150)


@given(values=columns)
def test_device_encoding_gives_the_ids_of_training(values):
    """Check raw numbers and the representative number of each bucket."""
    try:
        feature, ids = encode(values, pl.Float64)
    except UserError:
        return
    given = np.array([math.nan if each is None else each for each in values], np.float32)
    is_known = np.abs(given) <= MAX_MAGNITUDE
    np.testing.assert_array_equal(ids > 0, is_known)
    if feature.kind == "id":
        named = [feature.values[each - 1] if each else None for each in ids]
        assert named == [
            each if known else None for each, known in zip(values, is_known, strict=True)
        ]
        return
    assert set(ids[is_known].tolist()) == set(range(1, feature.size + 1))
    assert list(feature.values) == sorted(set(feature.values))
    np.testing.assert_array_equal(bucket_ids(feature, given), ids)
    every = np.arange(feature.size + 1, dtype=np.int32)
    standing = representative_numbers(feature, every)
    assert standing.dtype == np.float32
    np.testing.assert_array_equal(bucket_ids(feature, standing), every)
    # A device may flush subnormals to zero.
    assert not ((standing != 0) & (np.abs(standing) < np.finfo(np.float32).tiny)).any()


@given(st.lists(numbers, min_size=1), st.data())
def test_bucket_ids_match_a_plain_python_reference(given, data):
    finite = numbers.filter(math.isfinite)
    edges = sorted(data.draw(st.sets(finite, min_size=1)))
    feature = Feature("price", "activity", "number", len(edges) + 1, tuple(edges))
    expected = [
        1 + sum(edge <= each for edge in edges) if abs(each) <= np.float32(MAX_MAGNITUDE) else 0
        for each in given
    ]
    assert bucket_ids(feature, np.array(given, np.float32)).tolist() == expected


def test_raw_inputs_are_encoded_as_model_inputs():
    features = (
        Feature("rating", "activity", "id", 3, (1, 2, 5)),
        Feature("price", "activity", "number", 3, (0.5, 10.0)),
        Feature(AGE, "activity", "age", len(GAP_EDGES)),
        Feature("user_country", "user", "id", 2, ("at", "ch")),
        Feature("user_income", "user", "number", 2, (1000.0,)),
    )
    ages = np.array([[100, 40, -1, 0]], np.int32)
    inputs = {
        ITEM: np.array([[9, 1, 400, -3]], np.int32),
        "rating": np.array([[3, 4, -1, INT32.max]], np.int32),
        "price": np.array([[0.5, math.nan, -math.inf, 0.49]], np.float32),
        AGE: ages,
        "user_country": np.array([INT32.min], np.int32),
        "user_income": np.array([999.0], np.float32),
    }
    found = encode_inputs(features, inputs)
    assert {name: ids.tolist() for name, ids in found.items()} == {
        ITEM: [[9, 1, 400, -3]],
        "rating": [[3, 0, 0, 0]],
        "price": [[2, 0, 0, 1]],
        AGE: gap_ids_from_ages(ages).tolist(),
        "user_country": [0],
        "user_income": [1],
    }
    assert all(ids.dtype == np.int32 for ids in found.values())
    for each in features:
        shape = inputs[each.name].shape
        unknown = np.full(shape, each.unknown, inputs[each.name].dtype)
        assert not encode_inputs((each,), {each.name: unknown})[each.name].any()
