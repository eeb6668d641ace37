"""Raw ids: their types, and notes on suspicious ones."""

from decimal import Decimal
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.sources.ids import suspicious_id_notes
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError

FIRST, SECOND = UUID(int=7), UUID("12345678-1234-5678-1234-567812345678")


def read(folder, items: pl.Series) -> pl.Series:
    rows = pl.DataFrame({"user": range(len(items)), "item": items, "timestamp": range(len(items))})
    rows.write_parquet(folder / "log.parquet")
    return load_table(str(folder / "log.parquet"), LogConfig()).log["item"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (pl.Series([15.0, -2.0]), [15, -2]),
        (pl.Series([15.0, 1.5]), ["15.0", "1.5"]),
        (pl.Series([2.0**53, 2.0**60]), ["9007199254740992.0", "1.152921504606847e+18"]),
        (pl.Series([Decimal(15), Decimal(-2)]), [15, -2]),
        (pl.Series([Decimal("15.00"), Decimal("2.00")]), [15, 2]),
        (pl.Series([Decimal("1.50"), Decimal("2.00")]), ["1.50", "2.00"]),
        (pl.Series([Decimal(10**30), Decimal(1)]), ["1" + "0" * 30, "1"]),
        (pl.Series([FIRST.bytes, SECOND.bytes]), [str(FIRST), str(SECOND)]),
        (
            pl.Series([b"sixteen letters!", b"another sixteen."]),
            ["sixteen letters!", "another sixteen."],
        ),
        (pl.Series([b"a", b"b"]), ["a", "b"]),
    ],
)
def test_types_of_ids(tmp_path, written, expected):
    assert read(tmp_path, written).to_list() == expected


def test_bytes_that_are_neither_text_nor_a_uuid(tmp_path):
    with pytest.raises(UserError, match=r"row 1: column 'item' has .*not an id"):
        read(tmp_path, pl.Series([b"\xff\x00", b"\xfe"]))


@pytest.mark.parametrize(
    ("written", "expected"),
    [(["15.0", "2.0"], [15, 2]), (["15.00", "2.0"], [15, 2]), (["15.0", "2"], ["15.0", "2"])],
)
def test_whole_numbers_in_a_csv(tmp_path, written, expected):
    rows = "".join(f"{item},a,5\n" for item in written)
    (tmp_path / "log.csv").write_text("user,item,timestamp\n" + rows)
    log = load_table(str(tmp_path / "log.csv"), LogConfig()).log
    assert log["user"].to_list() == expected


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_whole_floats_are_read_as_integers(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("ids")
    assert read(folder, pl.Series(numbers, dtype=pl.Float64)).to_list() == numbers


@pytest.mark.parametrize("value", ["NULL", "null", "NaN", "None", "N/A", "\\N", " na "])
def test_ids_that_may_be_missing_values(value):
    (note,) = suspicious_id_notes("user", pl.Series([value, "a", value]))
    assert f"user {value!r} in 2 rows" in note


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1 "), ("1", "1.0"), ("7", "007"), ("\u00e9", "e\u0301"), ("A", "\uff21")],
)
def test_ids_that_look_alike(one, other):
    (note,) = suspicious_id_notes("item", pl.Series([one, other, "b"]))
    assert note.startswith("3 items, but only 2 if")
    assert repr(one) in note and repr(other) in note


@given(st.lists(st.integers(), min_size=1).map(lambda ids: [str(each) for each in ids]))
def test_different_numbers_are_not_alike(ids):
    assert suspicious_id_notes("item", pl.Series(ids)) == []


def test_ids_that_a_spreadsheet_rounded_are_noted():
    (note,) = suspicious_id_notes("item", pl.Series(["4.00638E+12", "4.00638E+12", "A12"]))
    assert note.startswith("2 rows have item ids in scientific notation, such as '4.00638E+12'")
    assert suspicious_id_notes("item", pl.Series(["1E12", "4E", "e+1"])) == []


def test_ids_that_differ_in_case_alone_are_noted():
    (note,) = suspicious_id_notes("item", pl.Series(["sku4", "SKU4", "sku5"]))
    assert note.startswith("3 items, but only 2 if case, spaces")
    assert note.endswith("'sku4' and 'SKU4' are different ids")
