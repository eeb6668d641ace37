"""Delimited text: lines before the header, line ends, and separators with something around them."""

from pathlib import Path

import pytest

from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError

ROWS = [("1", "a", "5"), ("1", "b", "6"), ("2", "a", "7")]
LOG = "".join(",".join(row) + "\n" for row in [("user", "item", "timestamp"), *ROWS])


def load(folder: Path, text: str | bytes, **config) -> Interactions:
    path = folder / "log.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_table(str(path), LogConfig(**config))


def require_rows(read: Interactions) -> None:
    assert read.log.rows() == [(1, "a", 5), (1, "b", 6), (2, "a", 7)]


@pytest.mark.parametrize("hint", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_names_the_separator_is_skipped(tmp_path, hint, end):
    text = f"{hint}\n{LOG.replace(',', ';')}".replace("\n", end)
    read = load(tmp_path, text)
    require_rows(read)
    assert f"the first line, {hint!r}" in read.notes[0]


def test_a_comment_before_the_header_is_skipped(tmp_path):
    read = load(tmp_path, f"# exported on 2024-05-01\n{LOG}")
    require_rows(read)
    assert read.notes[0].endswith("'# exported on 2024-05-01', is skipped")
    # A header may begin with # too: it has as many fields as the rows.
    read = load(tmp_path, f"#{LOG}", user="#user")
    require_rows(read)
    assert read.notes == ()


def test_names_are_given_for_the_line_after_a_comment(tmp_path):
    rows = LOG.partition("\n")[2]
    require_rows(load(tmp_path, f"# no header\n{rows}", columns="user,item,timestamp"))


def test_the_line_of_an_invalid_row_counts_the_comment(tmp_path):
    with pytest.raises(UserError, match=r"line 6: column 'timestamp' has 'soon'"):
        load(tmp_path, f"# a comment\n{LOG}2,b,soon\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [None, "user,item,timestamp"])
def test_a_separator_at_the_end_of_each_row_is_ignored(tmp_path, end, columns):
    header, *rows = LOG.splitlines()
    lines = [f"{row}," for row in rows] if columns else [header, *(f"{row}," for row in rows)]
    read = load(tmp_path, end.join([*lines, ""]), columns=columns)
    require_rows(read)
    assert "the separator at the end of each row is ignored" in read.notes[0]


def test_another_field_in_some_rows_is_refused(tmp_path):
    with pytest.raises(UserError, match="line 5: '2,b,8,x' has 4 fields and the first line has 3"):
        load(tmp_path, f"{LOG}2,b,8,x\n")


def test_a_space_after_each_separator_is_not_part_of_the_fields(tmp_path):
    header, rows = LOG.split("\n", maxsplit=1)
    for text in (f"{header}\n{rows.replace(',', ', ')}", LOG.replace(",", ", ")):
        read = load(tmp_path, text)
        require_rows(read)
        assert "a space after each separator" in read.notes[0]


def test_lines_may_end_in_a_carriage_return_alone(tmp_path):
    require_rows(load(tmp_path, LOG.replace("\n", "\r")))


def test_nul_bytes_are_named(tmp_path):
    with pytest.raises(UserError, match="line 5 has NUL bytes, as a file that was not written to"):
        load(tmp_path, LOG.encode() + bytes(64))


def test_a_file_of_a_hint_alone_is_empty(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        load(tmp_path, "sep=;\n")
