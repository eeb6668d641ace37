"""Prepared folder: a log sorted by user and time, in flat arrays that are memory-mapped.

    manifest.json      contents and checksums, and the number of users in each bucket
    items.parquet      one row per item: raw item, number of interactions, description
    users.parquet      one row per user: raw user, description
    offsets.npy        start of each user's activities, and the end of the last user's
    item.npy           the number of each activity's item: its row in items.parquet, from 1
    timestamp.npy      the time of each activity
    columns.arrow      the other columns of the activities, if there are any

The users of a bucket are contiguous, and so are their activities. Bucket b contains the users whose
id, as text, has a CRC-32 equal to b modulo the number of buckets. Users are sorted within it.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Shaped

from jaxrec.data.ordered import LogAnomalies, OrderedLog
from jaxrec.data.progress import show_progress
from jaxrec.errors import UserError
from jaxrec.files import replacing, write_json

# Version of the layout. A reader rejects all but this one and the previous one, whose manifest has
# other names.
LAYOUT = 2
_PREVIOUS_LAYOUT = 1

MANIFEST = "manifest.json"
ITEMS, USERS, COLUMNS = "items.parquet", "users.parquet", "columns.arrow"
OFFSETS, ITEM, TIMESTAMP = "offsets.npy", "item.npy", "timestamp.npy"

# Polars counts the rows of a table in 32 bits.
MAX_ROWS = 2**32 - 1


@dataclass(frozen=True)
class UserBucket:
    """Size and checksums of a bucket.

    Attributes:
        users: number of users.
        rows: number of their activities.
        item: CRC-32 of the bucket's part of item.npy ...
        timestamp: ... and of its part of timestamp.npy.
    """

    users: int
    rows: int
    item: int
    timestamp: int


@dataclass(frozen=True)
class Manifest:
    """Contents of a prepared folder's manifest.

    Attributes:
        made_of: the log and the flags that the folder was prepared from.
        buckets: sizes and checksums, in the order of the buckets.
        tables: CRC-32 of each other file, by file name.
        rows: number of rows in the log ...
        dropped: ... and the number of rows dropped from these, by flag.
        anomalies: anomalies of the kept rows.
        ticks_per_second: unit of the timestamps; None if unknown.
        notes: assumptions and anomalies.
    """

    made_of: Mapping[str, Any]
    buckets: Sequence[UserBucket]
    tables: Mapping[str, int]
    rows: int
    dropped: Mapping[str, int]
    anomalies: LogAnomalies
    ticks_per_second: int | None
    notes: Sequence[str]


def is_prepared(name: str) -> bool:
    """Return whether the name of a data set is that of a prepared folder."""
    return (Path(name) / MANIFEST).is_file()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, as the last file: a folder without one is not a prepared folder."""
    write_json(folder / MANIFEST, {"layout": LAYOUT, **asdict(manifest)})


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared folder.

    Raises:
        UserError: it is missing or damaged, or of another layout.
    """
    path = folder / MANIFEST
    with _reading(path):
        saved = json.loads(path.read_text(encoding="utf-8"))
        layout = saved.pop("layout")
        if layout == _PREVIOUS_LAYOUT:
            saved["anomalies"] = saved.pop("oddities")
            saved["made_of"]["--keep-columns"] = saved["made_of"].pop("--keep", None)
        elif layout != LAYOUT:
            raise UserError(
                f"{path} has layout {layout}, this version reads {LAYOUT}; prepare the log again"
            )
        buckets = [UserBucket(**each) for each in saved.pop("buckets")]
        return Manifest(
            **{**saved, "buckets": buckets, "anomalies": LogAnomalies(**saved["anomalies"])}
        )


def write_flat(path: Path, parts: Iterator[Shaped[np.ndarray, " _"]], count: int) -> list[int]:
    """Write an array of `count` entries part by part, and return the CRC-32 of each part.

    All parts have the same dtype, and there is at least one.
    """
    checksums = []
    with replacing(path) as file:
        for part in parts:
            if not checksums:
                header = {
                    "descr": np.lib.format.dtype_to_descr(part.dtype),
                    "fortran_order": False,
                    "shape": (count,),
                }
                np.lib.format.write_array_header_1_0(file, header)
            file.write(part.data)
            checksums.append(zlib.crc32(part.data))
    return checksums


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def read_prepared(folder: Path) -> OrderedLog:
    """Read a prepared folder; its arrays are memory-mapped.

    Raises:
        UserError: a file is missing or damaged, or there are too many rows.
    """
    manifest = read_manifest(folder)
    rows = sum(each.rows for each in manifest.buckets)
    if rows > MAX_ROWS:
        raise UserError(
            f"{folder} has {rows:,} activities, and the limit is {MAX_ROWS:,}; prepare a part of "
            "the log, as its last months"
        )
    for name, expected in manifest.tables.items():
        with _reading(folder / name):
            if checksum(folder / name) != expected:
                raise ValueError("its checksum differs")
    offsets, items, timestamps = (_memory_map(folder / each) for each in (OFFSETS, ITEM, TIMESTAMP))
    _check_buckets(folder, manifest, {ITEM: items, TIMESTAMP: timestamps})
    with _reading(folder / ITEMS), _reading(folder / USERS), _reading(folder / COLUMNS):
        catalogue, users = pl.read_parquet(folder / ITEMS), pl.read_parquet(folder / USERS)
        columns = pl.DataFrame()
        if COLUMNS in manifest.tables:
            columns = pl.read_ipc(folder / COLUMNS)
    return OrderedLog(
        catalogue.drop("count"),
        items,
        offsets,
        timestamps,
        columns,
        columns,
        users,
        manifest.ticks_per_second,
        manifest.rows,
        manifest.dropped,
        manifest.anomalies,
        tuple(manifest.notes),
        manifest.made_of.get("--break-ties"),
    )


def _check_buckets(
    folder: Path, manifest: Manifest, arrays: Mapping[str, Shaped[np.ndarray, " n"]]
) -> None:
    """Check the CRC-32 of each bucket's part of the arrays."""
    start = 0
    buckets = show_progress(manifest.buckets, unit="bucket", label="check")
    for number, bucket in enumerate(buckets):
        end = start + bucket.rows
        for name, expected in ((ITEM, bucket.item), (TIMESTAMP, bucket.timestamp)):
            if zlib.crc32(arrays[name][start:end].data) != expected:
                raise UserError(
                    f"{folder / name}: bucket {number} of {len(manifest.buckets)}, rows {start:,} "
                    f"to {end:,}, is damaged; prepare the log again"
                )
        start = end


def _memory_map(path: Path) -> Shaped[np.ndarray, " n"]:
    with _reading(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise errors in reading a file of a prepared folder as a UserError of one line."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing; prepare the log again") from None
    except (ValueError, TypeError, KeyError, AttributeError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the log again") from None
