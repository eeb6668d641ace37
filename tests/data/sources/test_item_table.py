"""Item tables: the columns that are read, the notes on them, and the errors."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import SideTables, load_table
from jaxrec.errors import UserError


def load(
    path: Path, items: str | pl.DataFrame, log_items: str = "3,1", **flags: Any
) -> Interactions:
    """Load an item table with a log of `log_items`, whose item column is "what"."""
    log = path / "log.csv"
    log.write_text(
        "user,what,timestamp\n" + "".join(f"u,{item},5\n" for item in log_items.split(","))
    )
    table = path / ("items.csv" if isinstance(items, str) else "items.parquet")
    table.write_text(items) if isinstance(items, str) else items.write_parquet(table)
    return load_table(
        str(log), LogConfig(item="what"), SideTables(str(table), ItemTableConfig(**flags))
    )


def load_items(path: Path, items: str | pl.DataFrame, log_items: str = "3,1", **flags: Any):
    return load(path, items, log_items, **flags).items


def test_without_an_item_table_the_items_are_empty(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,timestamp\n1,7,5\n")
    items = load_table(str(tmp_path / "log.csv"), LogConfig()).items
    assert items.is_empty()
    assert items.schema == pl.Schema(
        {"item": pl.Int64, "title": pl.String, "genres": pl.List(pl.String), "year": pl.Int32}
    )


def test_an_item_table_in_a_csv(tmp_path):
    text = (
        "item,title,genres,year,colour\n1,Heat,Crime|Drama,1995,red\n3,,,,\n9,Not in the log,,,\n"
    )
    assert load_items(tmp_path, text).rows() == [
        (1, "Heat", ["Crime", "Drama"], 1995),
        (3, None, None, None),
    ]
    assert load_items(tmp_path, "what,title\n3,Heat\n").rows() == [(3, "Heat", None, None)]


def test_an_item_table_in_parquet(tmp_path):
    table = pl.DataFrame({"item": [3, 1], "genres": [["A"], None], "year": [1995.0, math.nan]})
    assert load_items(tmp_path, table).rows() == [(3, None, ["A"], 1995), (1, None, None, None)]


def test_item_ids_have_the_type_of_the_log(tmp_path):
    assert load_items(tmp_path, "item,title\n3,A\nabc,B\n03,C\n")["item"].to_list() == [3]
    assert load_items(tmp_path, "item,title\n3,A\n", log_items="x,3")["item"].to_list() == ["3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,title\n1,A\n3,B\n1,C\n", "line 4: item 1 has another description"),
        ("item,title\n1,A\n,B\n", "line 3: column 'item' is empty.*--item-table.key"),
        (
            "title\nA\n",
            "no recognized column of item ids, only 'title'; name it with --item-table.key",
        ),
        ("item,year\n1,1995\n3,soon\n", "line 3: column 'year' has 'soon', not a year"),
        ("item,title\n001,A\n", "describes no item of the log"),
        ("", r"items\.csv is empty"),
    ],
)
def test_an_invalid_item_table_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_items(tmp_path, text)


def test_a_missing_item_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no\.csv is not a file; give --items"):
        load_table(str(_write_log(tmp_path)), LogConfig(), SideTables(str(tmp_path / "no.csv")))


def _write_log(folder: Path) -> Path:
    (folder / "log.csv").write_text("user,item,timestamp\n1,7,5\n")
    return folder / "log.csv"


@pytest.mark.parametrize(
    ("header", "described"),
    [
        ("what,name,category,release_year", ("Heat", ["Crime"], 1995)),
        ("item_id,Product Name,Genre,Year", ("Heat", ["Crime"], 1995)),
        ("id,Title,tags,colour", ("Heat", ["Crime"], None)),
        ("sku,prod-name,a,b", ("Heat", None, None)),
    ],
)
def test_columns_are_recognized_by_common_names(tmp_path, header, described):
    assert load_items(tmp_path, f"{header}\n3,Heat,Crime,1995\n").rows() == [(3, *described)]


def test_columns_are_named_by_flags(tmp_path):
    text = "nr,title,headline,kind,made\n3,no,Heat,Crime,1995\n"
    read = load(
        tmp_path,
        text,
        key="nr",
        title="headline",
        genres="kind",
        year="made",
    )
    assert read.items.rows() == [(3, "Heat", ["Crime"], 1995)]
    with pytest.raises(UserError, match=r"no column 'label', only 'nr', .*--item-table.title"):
        load(tmp_path, text, key="nr", title="label")
    with pytest.raises(UserError, match=r"--item-table\.title and --item-table\.genres both name"):
        load(tmp_path, text, key="nr", title="kind", genres="kind")


def test_a_table_without_a_header(tmp_path):
    text = "3;Heat;Crime\n1;Up;Comedy\n"
    assert load_items(tmp_path, text, columns="item,title,genres")["title"].to_list() == [
        "Heat",
        "Up",
    ]


def test_what_was_guessed_is_said(tmp_path):
    notes = load(tmp_path, "id,name,genres\n3,Heat,Crime\n1,Up,Comedy\n").notes
    assert notes == (
        "item ids: read from 'id'",
        "item title: read from 'name'",
    )


def test_a_table_without_a_known_column_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"title, genres or year, only 'item', 'colour'; name it"):
        load(tmp_path, "item,colour\n3,red\n")


@pytest.mark.parametrize(
    ("written", "genres"),
    [
        ("Action|War", ["Action", "War"]),
        ('"Action, War"', ["Action", "War"]),
        ("\"['Action', 'War']\"", ["Action", "War"]),
        ('"[""Action"", ""War""]"', ["Action", "War"]),
        ("[]", None),
        ("(no genres listed)", None),
        ("Action", ["Action"]),
    ],
)
def test_forms_of_genres(tmp_path, written, genres):
    assert load_items(tmp_path, f"item,genres\n3,{written}\n1,\n")["genres"].to_list() == [
        genres,
        None,
    ]


def test_a_comma_is_part_of_a_genre_if_there_are_bars(tmp_path):
    text = 'item,genres\n3,"Slow, sad"\n1,A|B\n'
    read = load(tmp_path, text)
    assert read.items["genres"].to_list() == [["Slow, sad"], ["A", "B"]]
    assert read.notes == ()
    assert "commas" in load(tmp_path, 'item,genres\n3,"A, B"\n1,C\n').notes[0]


def test_titles_that_mean_missing_are_null_and_noted(tmp_path):
    read = load(tmp_path, "item,title\n3,NULL\n1,nan\n")
    assert read.items["title"].to_list() == [None, None]
    assert read.notes == ("item title: 'NULL', 'nan' is read as missing",)


def test_items_without_a_row_are_counted(tmp_path):
    (note,) = load(tmp_path, "item,title\n03,A\n10,B\n", log_items="3,1,10").notes
    assert note.startswith("2 of 3 items are not in ")
    assert note.endswith("items.csv, such as 3; it has others, such as '03'")


def test_equal_rows_of_an_item_are_deduplicated(tmp_path):
    """Differing rows of items that are not in the log are ignored."""
    text = "item,title\n3,A\n1,B\n3,A\n9,C\n9,D\n"
    assert load_items(tmp_path, text).rows() == [(3, "A", None, None), (1, "B", None, None)]
