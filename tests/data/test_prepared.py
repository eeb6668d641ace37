"""Prepared logs: memory-mapped arrays, and errors that name a damaged file."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.prepared import read_manifest, read_prepared
from jaxrec.data.sources.load import load_ordered
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json
from tests.prepared_logs import KEEP_ALL, prepare_and_read, write_log


def test_arrays_are_memory_mapped(tmp_path):
    write_log(tmp_path)
    log = prepare_and_read(tmp_path, *KEEP_ALL)
    assert isinstance(log.items, np.memmap) and isinstance(log.timestamps, np.memmap)


def flip_last_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("item.npy", "item.npy: bucket 2 of 3, rows"),
        ("timestamp.npy", "timestamp.npy: bucket 2 of 3, rows"),
        ("offsets.npy", "offsets.npy is damaged"),
        ("items.parquet", "items.parquet is damaged"),
        ("users.parquet", "users.parquet is damaged"),
        ("manifest.json", "manifest.json is damaged"),
    ],
)
def test_a_damaged_or_missing_file_is_named(tmp_path, name, message):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL, "--buckets=3")
    path = tmp_path / "prepared" / name
    if name == "manifest.json":
        path.write_text("{")
    else:
        flip_last_bit(path)
    with pytest.raises(UserError, match=message):
        read_prepared(tmp_path / "prepared")
    path.unlink()
    with pytest.raises(UserError, match=f"{name} is missing; prepare the log again"):
        read_prepared(tmp_path / "prepared")


def test_a_folder_of_another_layout_is_refused(tmp_path):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL)
    path = tmp_path / "prepared" / "manifest.json"
    write_json(path, {**read_json(path), "layout": 99})
    with pytest.raises(UserError, match="has layout 99, this version reads 2; prepare the log"):
        read_manifest(tmp_path / "prepared")


def test_too_many_activities_are_refused(tmp_path):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL)
    path = tmp_path / "prepared" / "manifest.json"
    manifest = read_json(path)
    manifest["buckets"][0]["rows"] += 2**32
    write_json(path, manifest)
    with pytest.raises(UserError, match=r"has 4,294,967,356 activities, and the limit is"):
        read_prepared(tmp_path / "prepared")


def test_flags_of_prepare_are_refused_in_training(tmp_path):
    write_log(tmp_path)
    prepare_and_read(tmp_path, *KEEP_ALL)
    name = str(tmp_path / "prepared")
    for config in (
        DataConfig(name, filters=FilterConfig(min_rating=3.0)),
        DataConfig(name, log=LogConfig(user="who")),
        DataConfig(name, items="items.csv"),
    ):
        with pytest.raises(UserError, match=r"which is prepared; give it to `jaxrec prepare`"):
            load_ordered(config, seed=0)


def test_a_folder_of_the_previous_layout_is_read():
    folder = Path(__file__).parent / "prepared_layout_1"
    assert read_manifest(folder).made_of["--keep-columns"] == "device"
    log = read_prepared(folder)
    assert log.items.shape == (108,) and log.anomalies.forwards == 96
