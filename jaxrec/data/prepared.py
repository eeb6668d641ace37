"""A prepared folder: a log by user and time, in flat arrays that are read where they lie.

    manifest.json      what it is, and the users of each bucket
    items.parquet      a row for each item: it, how often it occurs, what is known of it
    users.parquet      a row for each user: it, and what is known of it
    offsets.npy        where each user's activities begin, and where the last one's end
    item.npy           the number of each activity's item, by the rows of items.parquet, from 1
    timestamp.npy      its time
    columns.arrow      what else is known of it, if anything

The users of a bucket lie side by side, and so do their activities. Bucket b holds the users whose
id, as text, has a CRC-32 that is b modulo the number of buckets; in it they are in their order.
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
from tqdm import tqdm

from jaxrec.data.ordered import Oddities, OrderedLog
from jaxrec.errors import UserError
from jaxrec.files import replacing, write_json

# The number of the layout; a reader refuses any other.
LAYOUT = 1

MANIFEST = "manifest.json"
ITEMS, USERS, COLUMNS = "items.parquet", "users.parquet", "columns.arrow"
OFFSETS, ITEM, TIMESTAMP = "offsets.npy", "item.npy", "timestamp.npy"

# Polars counts the rows of a table in 32 bits.
MOST_ROWS = 2**32 - 1


@dataclass(frozen=True)
class UserBucket:
    """The users of a bucket.

    Attributes:
        users: how many.
        rows: their activities.
        item: the CRC-32 of their part of item.npy ...
        timestamp: ... and of timestamp.npy.
    """

    users: int
    rows: int
    item: int
    timestamp: int


@dataclass(frozen=True)
class Manifest:
    """What a prepared folder says of itself.

    Attributes:
        made_of: the log and the flags.
        buckets: in their order.
        tables: the CRC-32 of each other file, by its name.
        rows: how many the log had ...
        dropped: ... and how many of them each flag dropped.
        oddities: of those that were kept.
        ticks_per_second: the unit of the times; None where it cannot be told.
        notes: what had to be guessed, and what is odd.
    """

    made_of: Mapping[str, Any]
    buckets: Sequence[UserBucket]
    tables: Mapping[str, int]
    rows: int
    dropped: Mapping[str, int]
    oddities: Oddities
    ticks_per_second: int | None
    notes: Sequence[str]


def is_prepared(name: str) -> bool:
    """Tell whether a data set is a prepared folder."""
    return (Path(name) / MANIFEST).is_file()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write what makes a folder a prepared one: it comes last."""
    write_json(folder / MANIFEST, {"layout": LAYOUT, **asdict(manifest)})


def read_manifest(folder: Path) -> Manifest:
    """Read what a folder says of itself.

    Raises:
        UserError: it is missing or damaged, or of another layout.
    """
    path = folder / MANIFEST
    with _whole(path):
        saved = json.loads(path.read_text(encoding="utf-8"))
        layout = saved.pop("layout")
        if layout != LAYOUT:
            raise UserError(
                f"{path} has layout {layout}, this version reads {LAYOUT}; prepare the log again"
            )
        buckets = [UserBucket(**each) for each in saved.pop("buckets")]
        return Manifest(**{**saved, "buckets": buckets, "oddities": Oddities(**saved["oddities"])})


def write_flat(path: Path, parts: Iterator[Shaped[np.ndarray, " _"]], count: int) -> list[int]:
    """Write an array of so many entries part by part; give the CRC-32 of each.

    The parts are of one type, and there is one at the least.
    """
    sums = []
    with replacing(path) as file:
        for part in parts:
            if not sums:
                header = {
                    "descr": np.lib.format.dtype_to_descr(part.dtype),
                    "fortran_order": False,
                    "shape": (count,),
                }
                np.lib.format.write_array_header_1_0(file, header)
            file.write(part.data)
            sums.append(zlib.crc32(part.data))
    return sums


def checksum(path: Path) -> int:
    """Give the CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def read_prepared(folder: Path) -> OrderedLog:
    """Read a prepared folder; its arrays stay on the disk until they are used.

    Raises:
        UserError: something of it is missing or damaged, or it has too many rows.
    """
    manifest = read_manifest(folder)
    rows = sum(each.rows for each in manifest.buckets)
    if rows > MOST_ROWS:
        raise UserError(
            f"{folder} holds {rows:,} activities, and a process takes {MOST_ROWS:,}; prepare less "
            "of the log, as its last months"
        )
    for name, found in manifest.tables.items():
        with _whole(folder / name):
            if checksum(folder / name) != found:
                raise ValueError("it is not what was written")
    offsets, items, timestamps = (_mapped(folder / each) for each in (OFFSETS, ITEM, TIMESTAMP))
    _check_buckets(folder, manifest, {ITEM: items, TIMESTAMP: timestamps})
    with _whole(folder / ITEMS), _whole(folder / USERS), _whole(folder / COLUMNS):
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
        manifest.oddities,
        tuple(manifest.notes),
    )


def _check_buckets(
    folder: Path, manifest: Manifest, arrays: Mapping[str, Shaped[np.ndarray, " n"]]
) -> None:
    """Refuse the first bucket that is missing or damaged."""
    start = 0
    for number, bucket in enumerate(tqdm(manifest.buckets, desc="check", unit="bucket", delay=2)):
        end = start + bucket.rows
        for name, found in ((ITEM, bucket.item), (TIMESTAMP, bucket.timestamp)):
            if zlib.crc32(arrays[name][start:end].data) != found:
                raise UserError(
                    f"{folder / name}: bucket {number} of {len(manifest.buckets)}, rows {start:,} "
                    f"to {end:,}, is damaged; prepare the log again"
                )
        start = end


def _mapped(path: Path) -> Shaped[np.ndarray, " n"]:
    with _whole(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Fold what is raised over a file of a prepared folder into one line."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing; prepare the log again") from None
    except (ValueError, TypeError, KeyError, AttributeError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the log again") from None
