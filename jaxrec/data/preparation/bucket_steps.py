"""The steps for the users of one bucket, which any engine can call, and the paths of their files.

Files are written atomically, and a step's report comes last: if it exists, the step is skipped.
"""

import io
import shutil
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.data.interactions import (
    FilterConfig,
    count_dropped,
    count_items,
    drop_rare,
    drop_rows,
)
from jaxrec.data.ordered import order_rows
from jaxrec.data.preparation.column_types import ColumnTypes, cast_rows, infer_types
from jaxrec.data.sources.log_file import LogFile
from jaxrec.data.sources.own_log import complete_rows, read_rows
from jaxrec.data.sources.tabular import Table
from jaxrec.errors import UserError
from jaxrec.files import read_json, replacing, write_json

# Columns of raw rows in addition to those of the log: the row's number in the log, its bucket.
ROW, BUCKET = "jaxrec_row", "jaxrec_bucket"


@dataclass(frozen=True)
class Workspace:
    """The input of a preparation, and the paths of its intermediate files.

    Attributes:
        opened: the log.
        filters: the filters on its rows.
        folder: the folder of the intermediate files.
        buckets: the number of buckets.
        tie_seed: seed of the order of activities with equal times; None: that of the log.
    """

    opened: LogFile
    filters: FilterConfig
    folder: Path
    buckets: int
    tie_seed: int | None = None

    def raw(self, bucket: int) -> Path:
        """Return the folder of a bucket's raw rows: Parquet files, unsorted, with a column ROW."""
        return self.folder / "raw" / f"{BUCKET}={bucket}"

    def part(self, step: str, bucket: int, suffix: str) -> Path:
        """Return the path of a step's output for a bucket."""
        return self.folder / step / f"{bucket}{suffix}"

    @property
    def items(self) -> Path:
        """The path of the items that are frequent enough, in the order of their numbers."""
        return self.folder / "items.parquet"

    def report(self, step: str, bucket: int) -> dict:
        """Read the report of a step on a bucket."""
        return read_json(self.part(step, bucket, ".json"))


def assign_buckets(users: pl.Series, buckets: int) -> pl.Series:
    """Return the bucket of each user: the CRC-32 of the id as text, modulo `buckets`.

    All engines compute this hash, and prepared folders depend on it: it must not change.
    """
    distinct = users.unique()
    texts = distinct.bin.encode("hex") if distinct.dtype == pl.Binary else distinct.cast(pl.String)
    sums = [zlib.crc32((text or "").encode()) % buckets for text in texts]
    return users.replace_strict(distinct, pl.Series(sums, dtype=pl.Int32), return_dtype=pl.Int32)


def survey_bucket(workspace: Workspace, bucket: int) -> None:
    """Infer the column types of a bucket's rows.

    Raises:
        UserError: if a row cannot be read.
    """
    report = workspace.part("survey", bucket, ".json")
    if report.exists():
        return
    table = _raw_rows(workspace, bucket)
    complete = complete_rows(table, workspace.opened.config)
    types, notes = None, []
    if complete.frame.height:
        rows = read_rows(complete, workspace.opened)
        types, notes = asdict(infer_types(rows, complete, workspace.opened)), rows.notes
    dropped = count_dropped("--log.drop-incomplete", table.frame, complete.frame)
    write_json(report, {"types": types, "notes": notes, "dropped": dropped})


def clean_bucket(workspace: Workspace, types: ColumnTypes, bucket: int) -> None:
    """Parse a bucket's rows, apply the filters that need no other bucket, and count the items."""
    report = workspace.part("clean", bucket, ".json")
    if report.exists():
        return
    table = complete_rows(_raw_rows(workspace, bucket), workspace.opened.config)
    if not table.frame.height:
        log, dropped = types.empty_frame, {}
    else:
        log = cast_rows(read_rows(table, workspace.opened), table, workspace.opened, types)
        log, dropped = drop_rows(log, workspace.filters)
    _write(count_items(log).sort("item"), workspace.part("count", bucket, ".parquet"))
    _write(log, workspace.part("clean", bucket, ".parquet"))
    write_json(report, {"dropped": dropped})
    # After the report: until it exists, a repeated call reads the raw rows again.
    shutil.rmtree(workspace.raw(bucket))


def order_bucket(workspace: Workspace, bucket: int) -> None:
    """Drop a bucket's rare items and users with few rows; sort the rest and number its items."""
    report = workspace.part("ordered", bucket, ".json")
    if report.exists():
        return
    cleaned = workspace.part("clean", bucket, ".parquet")
    items = read_part(workspace.items)["item"]
    log, dropped = drop_rare(read_part(cleaned), items, workspace.filters)
    ordered = order_rows(log, items, workspace.tie_seed)
    _write(ordered.users.to_frame(), workspace.part("ordered", bucket, ".users.parquet"))
    _write(ordered.columns, workspace.part("ordered", bucket, ".columns.parquet"))
    arrays = {
        "lengths": np.diff(ordered.offsets),
        "item": ordered.items,
        "timestamp": ordered.timestamps,
    }
    for name, values in arrays.items():
        with replacing(workspace.part("ordered", bucket, f".{name}.npy")) as file:
            np.save(file, values)
    write_json(report, {"dropped": dropped, "anomalies": asdict(ordered.anomalies)})
    cleaned.unlink()


def read_part(path: Path) -> pl.DataFrame:
    """Read a table that a step wrote.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (FileNotFoundError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path} is missing or damaged ({reason}); prepare the log again, with --overwrite"
        ) from None


def _raw_rows(workspace: Workspace, bucket: int) -> Table:
    """Read the rows of a bucket, as they are written, in the order of the source."""
    files = sorted(workspace.raw(bucket).glob("*.parquet"))
    rows = pl.concat([read_part(each) for each in files]).sort(ROW)
    return workspace.opened.table(rows.drop(ROW), rows[ROW])


def as_parquet(frame: pl.DataFrame) -> bytes:
    """Encode a table as Parquet.

    Callers write the bytes in Python, because Polars has no specific error for a full disk.
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4")
    return buffer.getvalue()


def _write(frame: pl.DataFrame, path: Path) -> None:
    with replacing(path) as file:
        file.write(as_parquet(frame))
