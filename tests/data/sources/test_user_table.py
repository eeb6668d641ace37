"""The user table: it has one row for each user of the log, or it is refused."""

from pathlib import Path

import polars as pl
import pytest

from jaxrec.data.sources.user_table import UserTableConfig, read_users
from jaxrec.errors import UserError


def read(path, known, features, *, key=None, log_column="user", encoding=None):
    config = UserTableConfig(key=key)
    return read_users(
        str(path),
        config,
        pl.Series(known),
        log_column=log_column,
        encoding=encoding,
        features=features,
    )


def write(path: Path, text: str, encoding="utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_a_row_for_each_user_of_the_log_in_its_order(tmp_path):
    """Columns that are not requested and users that are not in the log are ignored."""
    path = write(tmp_path / "users.csv", "user,age,country,note\n7,30,at,\n9,,ch,x\n8,2.5,,y\n")
    users, notes = read(path, [9, 7], ["country", "age"])
    assert users.to_dicts() == [
        {"user": 9, "country": "ch", "age": None},
        {"user": 7, "country": "at", "age": 30.0},
    ]
    assert users.schema == {"user": pl.Int64, "country": pl.String, "age": pl.Float64}
    assert notes == []


@pytest.mark.parametrize(
    ("known", "keys"),
    [
        (["7", "8"], pl.Series([7, 8])),
        ([7, 8], pl.Series(["7", "8"])),
        ([7, 8], pl.Series([7.0, 8.0])),
        ([7, 8], pl.Series([7, 8], dtype=pl.UInt8)),
        (["7", "8"], pl.Series(["7", "8"], dtype=pl.Categorical)),
    ],
    ids=str,
)
def test_ids_of_another_type_match_the_log(tmp_path, known, keys):
    pl.DataFrame({"user": keys, "sex": ["f", "m"]}).write_parquet(tmp_path / "users.parquet")
    users, _ = read(tmp_path / "users.parquet", known, ["sex"])
    assert users.rows() == [*zip(known, "fm", strict=True)]


def test_the_key_column_is_that_of_the_log_or_user_or_configured(tmp_path):
    path = write(tmp_path / "users.csv", "user,customer,id,sex\na,b,c,f\nb,c,a,m\nc,a,b,x\n")
    for log_column, key, sex in (
        ("customer", None, "x"),
        ("who", None, "f"),
        ("user", "id", "m"),
    ):
        users, _ = read(path, ["a"], ["sex"], key=key, log_column=log_column)
        assert users.row(0) == ("a", sex)


def test_columns_of_any_name(tmp_path):
    """One name is like those that a join adds."""
    path = write(tmp_path / "users.csv", "user,key,user_right,count\n1,x,3,7\n2,y,4,7\n")
    users, _ = read(path, [1, 2], ["key", "user_right", "count"])
    assert users.rows() == [(1, "x", 3, 7), (2, "y", 4, 7)]


def test_the_table_is_parsed_like_a_log(tmp_path):
    path = write(tmp_path / "users.csv", "user;town\nZo\xeb;K\xf6ln\n", "latin-1")
    users, notes = read(path, ["Zo\xeb"], ["town"], encoding="latin-1")
    assert users.row(0) == ("Zo\xeb", "K\xf6ln")
    assert "field separator inferred as ';'" in notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user,sex\n1,f\n2,m\n1,f\n1,m\n",
            r"line 5: user 1 has another description in an earlier row; keep one row per user",
        ),
        ("user,sex\n1,f\n3,m\n", r"lacks 1 of 2 users of the log, such as 2; add them \(unknown"),
        ("user,sex\nx,f\ny,m\n", "lacks 2 of 2 users of the log, .* whose first value is 'x'"),
        (
            "user,sex\n1,f\n,m\n",
            "line 3: column 'user' is empty; delete the row, or change --u",
        ),
        ("user,age\n1,7\n2,8\n", "has no column 'sex', only 'user', 'age'; change --user-features"),
        ("id,sex\n1,f\n2,m\n", "has no column 'user', only 'id', 'sex'; change --user-table.key"),
        ("user,sex,sex\n1,f,f\n", "has 2 columns 'sex'"),
        ("user,sex\n", "has no rows"),
        ("", r"users\.csv is empty|has no column"),
    ],
    ids=str,
)
def test_an_invalid_table_is_refused(tmp_path, text, message):
    path = write(tmp_path / "users.csv", text)
    with pytest.raises(UserError, match=message):
        read(path, [1, 2], ["sex"])


def test_a_missing_file_and_a_column_of_lists_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"users\.csv is not a file; give --users"):
        read(tmp_path / "users.csv", [1], ["sex"])
    pl.DataFrame({"user": [1], "sex": [["f"]]}).write_parquet(tmp_path / "users.parquet")
    with pytest.raises(UserError, match=r"column 'sex' has type List.*; change --user-features"):
        read(tmp_path / "users.parquet", [1], ["sex"])
