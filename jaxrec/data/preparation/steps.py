"""The steps from a log to a prepared folder. Killed at any moment, the same call goes on."""

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

from jaxrec.data.interactions import frequent_items, not_zero, require_some
from jaxrec.data.ordered import Oddities
from jaxrec.data.preparation.engines import Engine
from jaxrec.data.preparation.form import Form, common_form
from jaxrec.data.preparation.workshop import (
    Workshop,
    as_parquet,
    clean,
    lay_out,
    read_part,
    survey,
)
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

# What a row of a bucket takes while it is read, ordered and written. Measured: 250 to 350 bytes
# where ids are text of 20 characters, 150 where they are numbers.
_BYTES_A_ROW = 400


def prepare_folder(
    shop: Workshop,
    engine: Engine,
    tables: SideTables,
    folder: Path,
    *,
    memory: int,
    made_of: Mapping[str, Any],
) -> None:
    """Prepare a log.

    Args:
        folder: where it goes; the parts lie in the workshop's folder until then.
        memory: bytes that a bucket may take.
        made_of: the log and the flags, for the manifest.

    Raises:
        UserError: a row cannot be read, nothing is left, or there is another mistake.
    """
    counts = engine.deal(shop)
    if not counts:
        raise UserError(f"{shop.opened.file.path} has no rows; give a file that has some")
    _require_memory(counts, shop, memory)
    filled = sorted(counts)
    engine.each(partial(survey, shop), filled, "read")
    surveys = {bucket: shop.report("survey", bucket) for bucket in filled}
    forms = [Form(**each["form"]) for each in surveys.values() if each["form"]]
    if not forms:
        raise UserError(
            f"{shop.opened.file.path} has no complete row; leave --log.drop-incomplete out"
        )
    form = common_form(forms, shop.opened)
    engine.each(partial(clean, shop, form), filled, "clean")
    notes = [*shop.opened.file.notes, *_notes_of_one(surveys, shop)]
    notes += _settle_items(shop, tables, filled)
    engine.each(partial(lay_out, shop), filled, "order")
    reports = [shop.report(step, bucket) for step in ("clean", "ordered") for bucket in filled]
    dropped = _added([each["dropped"] for each in (*surveys.values(), *reports)])
    rows = sum(counts.values())
    require_some(rows - sum(dropped.values()), rows, dropped)
    numbers = _join_items(shop, folder, filled)
    buckets = _join(shop, folder, filled, numbers)
    notes += _join_users(shop, tables, folder, filled)
    files = [ITEMS, USERS, OFFSETS, *_join_columns(shop, folder, filled)]
    odd = [Oddities(**shop.report("ordered", bucket)["oddities"]) for bucket in filled]
    write_manifest(
        folder,
        Manifest(
            made_of,
            buckets,
            {name: checksum(folder / name) for name in files},
            rows,
            dropped,
            sum(odd, Oddities()),
            form.ticks_per_second,
            notes,
        ),
    )


def _require_memory(counts: Mapping[int, int], shop: Workshop, memory: int) -> None:
    """Refuse buckets of more rows than fit into memory.

    Raises:
        UserError: one does.
    """
    needed = max(counts.values()) * _BYTES_A_ROW
    if needed > memory:
        raise UserError(
            f"a bucket of {max(counts.values()):,} rows needs {needed / 1e9:.1f} GB; give "
            f"--buckets={shop.buckets * -(-needed // memory)}, or more --memory"
        )


def _notes_of_one(surveys: Mapping[int, Any], shop: Workshop) -> list[str]:
    """Give what is odd in one bucket: that all of the rows say nothing odd costs too much."""
    first, count = next(iter(surveys)), shop.buckets
    where = f"bucket {first} of {count}: " if count > 1 else ""
    return [f"{where}{note}" for note in surveys[first]["notes"]]


def _settle_items(shop: Workshop, tables: SideTables, filled: Sequence[int]) -> list[str]:
    """Write which items stay, and what is known of them; give notes."""
    parts = [read_part(shop.part("count", bucket, ".parquet")) for bucket in filled]
    counts = pl.concat(parts).group_by("item").agg(pl.col("count").sum())
    known = frequent_items(counts, shop.filters)
    table, notes = describe_items(known, shop.opened.config, tables)
    items = known.to_frame("item").join(table, on="item", how="left", maintain_order="left")
    with replacing(shop.items) as file:
        file.write(as_parquet(items))
    return notes


def _join_items(shop: Workshop, folder: Path, filled: Sequence[int]) -> Int32[np.ndarray, " R"]:
    """Write the items that still have activities, short users being dropped.

    Returns:
        The number of each that they had until then.
    """
    items = read_part(shop.items)
    counts = np.zeros(items.height + 1, np.int64)
    for part in _parts(shop, filled, "item"):
        counts += np.bincount(part, minlength=len(counts))
    items = items.with_columns(count=counts[1:]).filter(pl.col("count") > 0)
    with replacing(folder / ITEMS) as file:
        file.write(as_parquet(items))
    return np.cumsum(counts > 0, dtype=np.int32)


def _parts(shop: Workshop, filled: Sequence[int], name: str) -> list[np.ndarray]:
    paths = (shop.part("ordered", bucket, f".{name}.npy") for bucket in filled)
    return [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]


def _join(
    shop: Workshop, folder: Path, filled: Sequence[int], numbers: Int32[np.ndarray, " R"]
) -> list[UserBucket]:
    """Write the flat arrays; give what each bucket has of them, also if it has nothing.

    Args:
        numbers: of the items, by those that they had until now.
    """
    lengths = _parts(shop, filled, "lengths")
    starts = np.cumsum([0, *(int(each.sum()) for each in lengths)])
    rows, users = int(starts[-1]), sum(map(len, lengths))
    offsets = (start + np.cumsum(each) for start, each in zip(starts, lengths, strict=False))
    write_flat(folder / OFFSETS, chain([np.zeros(1, np.int64)], offsets), users + 1)
    renumbered = (numbers[part] for part in _parts(shop, filled, "item"))
    items = write_flat(folder / ITEM, renumbered, rows)
    times = write_flat(folder / TIMESTAMP, iter(_parts(shop, filled, "timestamp")), rows)
    found = {
        bucket: UserBucket(len(each), int(each.sum()), item, time)
        for bucket, each, item, time in zip(filled, lengths, items, times, strict=True)
    }
    return [found.get(bucket, UserBucket(0, 0, 0, 0)) for bucket in range(shop.buckets)]


def _join_users(
    shop: Workshop, tables: SideTables, folder: Path, filled: Sequence[int]
) -> list[str]:
    """Write who the users are and what is known of them; give notes."""
    users = pl.concat(
        [read_part(shop.part("ordered", bucket, ".users.parquet")) for bucket in filled]
    )
    described, notes = describe_users(users["user"], shop.opened.config, tables)
    if described is not None:
        users = described
    with replacing(folder / USERS) as file:
        file.write(as_parquet(users))
    return notes


def _join_columns(shop: Workshop, folder: Path, filled: Sequence[int]) -> list[str]:
    """Write what else is known of the activities; give the name of the file, if there is one."""
    parts = [shop.part("ordered", bucket, ".columns.parquet") for bucket in filled]
    if not pl.read_parquet_schema(parts[0]):
        return []
    temporary = shop.folder / COLUMNS
    rows = pl.scan_parquet(parts, glob=False, hive_partitioning=False)
    try:
        rows.sink_ipc(temporary, compression="uncompressed", maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise OSError(errno.EIO, str(error).partition("\n")[0], str(folder / COLUMNS)) from None
    temporary.replace(folder / COLUMNS)
    return [COLUMNS]


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return not_zero(total)
