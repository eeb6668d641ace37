"""Atomic file writes, their permissions, and errors for damaged files."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.errors import UserError
from jaxrec.files import (
    read_arrays,
    read_json,
    replacing,
    require_disk_space,
    write_arrays,
    write_json,
)


@pytest.fixture
def umask():
    """Yield `os.umask`, and restore the umask afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_readers_see_the_old_content_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("old", [b"old", None])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_block_keeps_the_old_content_and_no_temporary_file(tmp_path, old, error):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half of the ne")
        raise error
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([old] if old else [])


def test_a_path_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError), replacing(path) as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o007, 0o660)])
def test_permissions_follow_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"new")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert path.stat().st_mode & 0o777 == mode
    # `os.umask` reads the umask by setting it: `replacing` must restore it.
    assert umask(mask) == mask


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@given(value=values)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value
    # Any JSON parser reads it.
    assert json.loads(path.read_bytes()) == value


def test_json_is_indented_and_not_escaped(tmp_path):
    write_json(tmp_path / "value.json", {"title": "Amélie"})
    assert (tmp_path / "value.json").read_text("utf-8") == '{\n  "title": "Amélie"\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"path": Path()}])
def test_a_value_that_is_not_json_raises_and_keeps_the_old_file(tmp_path, value):
    path = tmp_path / "value.json"
    write_json(path, 1)
    with pytest.raises((ValueError, TypeError)):
        write_json(path, value)
    assert read_json(path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"value\.json is missing; is this the run directory"):
        read_json(tmp_path / "value.json")


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_a_damaged_file_is_reported(tmp_path, content):
    (tmp_path / "value.json").write_bytes(content)
    with pytest.raises(UserError, match=r"value\.json is damaged.*train the run again"):
        read_json(tmp_path / "value.json")


def test_truncated_or_modified_arrays_are_reported(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, {"ids": np.arange(9)})
    content = path.read_bytes()
    assert read_arrays(path)["ids"].tolist() == [*range(9)]
    for offset in range(len(content)):
        path.write_bytes(content[:offset])
        with pytest.raises(UserError, match=r"arrays\.npz is damaged.*train the run again"):
            read_arrays(path)
        for bit in (0, 5):
            changed = bytes([content[offset] ^ (1 << bit)])
            path.write_bytes(content[:offset] + changed + content[offset + 1 :])
            # Some bytes, such as those of a date, have no effect.
            with suppress(UserError):
                read_arrays(path)


def test_an_unreadable_file_raises_os_error(tmp_path):
    for read in (read_json, read_arrays):
        with pytest.raises(IsADirectoryError):
            read(tmp_path)


def test_the_check_for_disk_space_leaves_no_files(tmp_path):
    require_disk_space(tmp_path / "to" / "be" / "made", 1000)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError) as refused:
        require_disk_space(tmp_path / "file" / "below")
    assert refused.value.filename == str(tmp_path / "file" / "below")
    if hasattr(os, "posix_fallocate"):
        with pytest.raises(OSError) as refused:
            require_disk_space(tmp_path, 1 << 60)
        assert refused.value.filename == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
