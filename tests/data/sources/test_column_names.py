"""Columns of a log that are recognized by their common names."""

import pytest

from jaxrec.data.sources.column_names import columns_named
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError


def load(folder, header, **config):
    (folder / "log.csv").write_text(f"{header}\n1,a,5\n2,b,6\n")
    return load_table(str(folder / "log.csv"), LogConfig(**config))


def test_names_are_compared_without_case_spaces_hyphens_and_underscores():
    names = ["User ID", "userId", "user-id", "other"]
    assert columns_named(names, ("userid",)) == ["User ID"]
    assert columns_named(["b", "a"], ("a", "b", "c")) == ["a", "b"]


@pytest.mark.parametrize(
    "header", ["userId,movieId,timestamp", "customer_id,sku,created_at", "user,Product ID,DATE"]
)
def test_common_names_are_recognized_with_a_note(tmp_path, header):
    read = load(tmp_path, header)
    assert read.log.rows() == [(1, "a", 5), (2, "b", 6)]
    defaults = {"user", "item", "timestamp"}
    named = [name for name in header.split(",") if name not in defaults]
    assert len(read.notes) == len(named)
    assert all(repr(name) in note for name, note in zip(named, read.notes, strict=True))


def test_a_column_with_the_default_name_has_priority(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,user,item,timestamp\n9,1,a,5\n8,2,b,6\n")
    read = load_table(str(tmp_path / "log.csv"), LogConfig())
    assert read.log["user"].to_list() == [1, 2] and read.notes == ()


def test_two_columns_that_could_be_meant_are_refused(tmp_path):
    with pytest.raises(UserError) as error:
        load(tmp_path, "user_id,customer_id,item")
    assert "has columns 'user_id' and 'customer_id'" in str(error.value)
    assert str(error.value).endswith("may hold the users; name one with --log.user")


def test_a_column_that_is_named_by_flag_is_not_replaced(tmp_path):
    with pytest.raises(UserError, match="no column 'shopper', only 'user_id'"):
        load(tmp_path, "user_id,item,timestamp", user="shopper")


def test_a_log_without_a_known_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="no column 'user', only 'who'"):
        load(tmp_path, "who,item,timestamp")
