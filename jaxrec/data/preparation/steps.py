"""The steps from a log to a prepared folder. After a kill at any point, the same call resumes."""

import errno
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.data.interactions import frequent_items, nonzero_counts, require_rows
from jaxrec.data.ordered import LogAnomalies
from jaxrec.data.preparation.bucket_steps import (
    Workspace,
    as_parquet,
    clean_bucket,
    order_bucket,
    read_part,
    survey_bucket,
)
from jaxrec.data.preparation.column_types import ColumnTypes, merge_types
from jaxrec.data.preparation.engines import Engine
from jaxrec.data.prepared import (
    COLUMNS,
    ITEM,
    ITEMS,
    OFFSETS,
    TIMESTAMP,
    USERS,
    Manifest,
    UserBucket,
    checksum,
    write_flat,
    write_manifest,
)
from jaxrec.data.sources.own_log import SideTables, describe_items, describe_users
from jaxrec.errors import UserError
from jaxrec.files import replacing

# Memory per row of a bucket while it is read, ordered and written. Measured: 250 to 350 bytes with
# ids of 20 characters, 150 with numeric ids.
_BYTES_PER_ROW = 400


def prepare_folder(
    workspace: Workspace,
    engine: Engine,
    tables: SideTables,
    folder: Path,
    *,
    memory: int,
    made_of: Mapping[str, Any],
) -> None:
    """Write the prepared folder of a log.

    Args:
        folder: the output; intermediate files are in the folder of `workspace`.
        memory: the bytes that a bucket may use.
        made_of: the log and the flags, for the manifest.

    Raises:
        UserError: if the input is invalid, no row is left, or a bucket exceeds the memory.
    """
    counts = engine.partition(workspace)
    if not counts:
        raise UserError(f"{workspace.opened.file.path} has no rows; give a file with rows")
    _require_memory(counts, workspace, memory)
    filled = sorted(counts)
    engine.run_step(partial(survey_bucket, workspace), filled, "read")
    surveys = {bucket: workspace.report("survey", bucket) for bucket in filled}
    bucket_types = [ColumnTypes(**each["types"]) for each in surveys.values() if each["types"]]
    if not bucket_types:
        raise UserError(
            f"{workspace.opened.file.path} has no complete row; omit --log.drop-incomplete"
        )
    types = merge_types(bucket_types, workspace.opened)
    engine.run_step(partial(clean_bucket, workspace, types), filled, "clean")
    notes = [*workspace.opened.notes, *_first_bucket_notes(surveys, workspace)]
    notes += _select_items(workspace, tables, filled)
    engine.run_step(partial(order_bucket, workspace), filled, "order")
    reports = [workspace.report(step, bucket) for step in ("clean", "ordered") for bucket in filled]
    dropped = _sum_counts([each["dropped"] for each in (*surveys.values(), *reports)])
    rows = sum(counts.values())
    require_rows(rows - sum(dropped.values()), rows, dropped)
    numbers = _write_items(workspace, folder, filled)
    buckets = _write_arrays(workspace, folder, filled, numbers)
    notes += _write_users(workspace, tables, folder, filled)
    files = [ITEMS, USERS, OFFSETS, *_write_columns(workspace, folder, filled)]
    anomalies = [
        LogAnomalies(**workspace.report("ordered", bucket)["anomalies"]) for bucket in filled
    ]
    # The manifest comes last, because it marks the folder as prepared.
    write_manifest(
        folder,
        Manifest(
            made_of,
            buckets,
            {name: checksum(folder / name) for name in files},
            rows,
            dropped,
            sum(anomalies, LogAnomalies()),
            types.ticks_per_second,
            notes,
        ),
    )


def _require_memory(counts: Mapping[int, int], workspace: Workspace, memory: int) -> None:
    """Check that the largest bucket fits into memory.

    Raises:
        UserError: if it does not.
    """
    needed = max(counts.values()) * _BYTES_PER_ROW
    if needed > memory:
        raise UserError(
            f"a bucket of {max(counts.values()):,} rows needs {needed / 1e9:.1f} GB; give "
            f"--buckets={workspace.buckets * -(-needed // memory)}, or more --memory"
        )


def _first_bucket_notes(surveys: Mapping[int, Any], workspace: Workspace) -> list[str]:
    """Return the notes of one bucket; checking all rows for anomalies would cost too much."""
    first, count = next(iter(surveys)), workspace.buckets
    where = f"bucket {first} of {count}: " if count > 1 else ""
    return [f"{where}{note}" for note in surveys[first]["notes"]]


def _select_items(workspace: Workspace, tables: SideTables, filled: Sequence[int]) -> list[str]:
    """Write the items that are frequent enough, with their descriptions; return notes."""
    parts = [read_part(workspace.part("count", bucket, ".parquet")) for bucket in filled]
    counts = pl.concat(parts).group_by("item").agg(pl.col("count").sum())
    known = frequent_items(counts, workspace.filters)
    table, notes = describe_items(known, workspace.opened.config, tables)
    items = known.to_frame("item").join(table, on="item", how="left", maintain_order="left")
    with replacing(workspace.items) as file:
        file.write(as_parquet(items))
    return notes


def _write_items(
    workspace: Workspace, folder: Path, filled: Sequence[int]
) -> Int32[np.ndarray, " R"]:
    """Write the items that still have activities after users with too few rows were dropped.

    Returns:
        The new number of each item, by its previous number.
    """
    items = read_part(workspace.items)
    counts = np.zeros(items.height + 1, np.int64)
    for part in _parts(workspace, filled, "item"):
        counts += np.bincount(part, minlength=len(counts))
    items = items.with_columns(count=counts[1:]).filter(pl.col("count") > 0)
    with replacing(folder / ITEMS) as file:
        file.write(as_parquet(items))
    return np.cumsum(counts > 0, dtype=np.int32)


def _parts(workspace: Workspace, filled: Sequence[int], name: str) -> list[np.ndarray]:
    paths = (workspace.part("ordered", bucket, f".{name}.npy") for bucket in filled)
    return [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]


def _write_arrays(
    workspace: Workspace, folder: Path, filled: Sequence[int], numbers: Int32[np.ndarray, " R"]
) -> list[UserBucket]:
    """Write the flat arrays; return the manifest entry of each bucket, empty ones included.

    Args:
        numbers: the new number of each item, by its previous number.
    """
    lengths = _parts(workspace, filled, "lengths")
    starts = np.cumsum([0, *(int(each.sum()) for each in lengths)])
    rows, users = int(starts[-1]), sum(map(len, lengths))
    offsets = (start + np.cumsum(each) for start, each in zip(starts, lengths, strict=False))
    write_flat(folder / OFFSETS, chain([np.zeros(1, np.int64)], offsets), users + 1)
    renumbered = (numbers[part] for part in _parts(workspace, filled, "item"))
    items = write_flat(folder / ITEM, renumbered, rows)
    times = write_flat(folder / TIMESTAMP, iter(_parts(workspace, filled, "timestamp")), rows)
    found = {
        bucket: UserBucket(len(each), int(each.sum()), item, time)
        for bucket, each, item, time in zip(filled, lengths, items, times, strict=True)
    }
    return [found.get(bucket, UserBucket(0, 0, 0, 0)) for bucket in range(workspace.buckets)]


def _write_users(
    workspace: Workspace, tables: SideTables, folder: Path, filled: Sequence[int]
) -> list[str]:
    """Write the users and their descriptions; return notes."""
    users = pl.concat(
        [read_part(workspace.part("ordered", bucket, ".users.parquet")) for bucket in filled]
    )
    described, notes = describe_users(users["user"], workspace.opened.config, tables)
    if described is not None:
        users = described
    with replacing(folder / USERS) as file:
        file.write(as_parquet(users))
    return notes


def _write_columns(workspace: Workspace, folder: Path, filled: Sequence[int]) -> list[str]:
    """Write the other columns of the activities, if any; return the name of the file as a list."""
    parts = [workspace.part("ordered", bucket, ".columns.parquet") for bucket in filled]
    if not pl.read_parquet_schema(parts[0]):
        return []
    temporary = workspace.folder / COLUMNS
    rows = pl.scan_parquet(parts, glob=False, hive_partitioning=False)
    try:
        rows.sink_ipc(temporary, compression="uncompressed", maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise OSError(errno.EIO, str(error).partition("\n")[0], str(folder / COLUMNS)) from None
    temporary.replace(folder / COLUMNS)
    return [COLUMNS]


def _sum_counts(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return nonzero_counts(total)
