"""Prepare a log of any size, so that training reads it from disk by memory mapping.

    jaxrec prepare --dataset=log.parquet --out=prepared
    jaxrec train --dataset=prepared

Logs that fit into memory need no preparation. Give the flags that read and filter the log, and
those of its item and user tables, to this command and not to `jaxrec train`.

Users are partitioned into buckets by a hash of their ids, and each bucket is processed on its own,
so that the memory is limited by --memory, whatever the size of the log. The same command continues
an interrupted preparation. --engine=spark (extra `spark`) runs on many machines; --out must then be
a folder that all of them share.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jaxrec.cli.command_line import command
from jaxrec.cli.fingerprint import describe_differences, take_fingerprint
from jaxrec.config.fields import Flat, check, setting
from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.log_summary import format_summary, summarize_log
from jaxrec.data.preparation.bucket_steps import Workspace
from jaxrec.data.preparation.engines import Engine, Local
from jaxrec.data.preparation.spark import Spark
from jaxrec.data.preparation.steps import prepare_folder
from jaxrec.data.prepared import LAYOUT, is_prepared, read_manifest, read_prepared
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.log_file import open_log
from jaxrec.data.sources.own_log import SideTables
from jaxrec.data.sources.tabular import require_columns
from jaxrec.data.sources.user_table import UserTableConfig
from jaxrec.data.ties import require_times
from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json

# Flags that do not affect the result.
_EXECUTION = ("--out", "--memory", "--engine", "--master", "--overwrite")

# Most rows assigned to buckets at once, and bytes of memory per row: less memory, fewer rows.
_MAX_ROWS_AT_ONCE, _BYTES_PER_ROW = 1_000_000, 2_000


@dataclass(frozen=True)
class PrepareFlags:
    """Log to prepare, and the resources."""

    dataset: str
    """your log: a file, or a folder or glob pattern ("logs/*.parquet") of Parquet files"""
    out: Path
    """folder of the prepared log"""
    log: LogConfig = field(default_factory=LogConfig)
    items: str | None = None
    """table of your items: an id, and any of title, genres and year"""
    item_table: ItemTableConfig = field(default_factory=ItemTableConfig)
    users: str | None = None
    """table of your users: an id, and the columns of --user-features"""
    user_table: UserTableConfig = field(default_factory=UserTableConfig)
    filters: Flat[FilterConfig] = field(default_factory=FilterConfig)
    break_ties: int | None = setting(None, 0, 2**31 - 1, advanced=True)
    """seed of the order of a user's interactions with equal times, which depends on nothing but
    these rows; default: they keep the order of the log, which then determines the targets"""
    keep_columns: str | None = setting(None, old_name="keep")
    """other columns of your log to keep, for --activity-features and --target-weight of
    `jaxrec train`: device,price"""
    item_features: str | None = None
    """other columns of the item table to keep, for --item-features; genres and year are always
    kept"""
    user_features: str | None = None
    """columns of the user table to keep, for --user-features"""
    buckets: int = 64
    """number of buckets of users, each of which must fit into memory"""
    memory: str = "4GB"
    """memory limit, as 4GB or 500MB; with --engine=spark, of each worker"""
    engine: Literal["local", "spark"] = "local"
    """run on this machine, or with Spark"""
    master: str = "local[*]"
    """with --engine=spark: the cluster, as for spark-submit; local[*]: the cores of this machine"""
    overwrite: bool = False
    """replace the preparation in --out"""

    def __post_init__(self) -> None:
        check(self)
        require_times(self.break_ties, self.log)


def run(flags: PrepareFlags) -> None:
    """Prepare a log and print a summary of it.

    Raises:
        UserError: an error that the user can fix.
    """
    memory = _parse_bytes(flags.memory)
    if not 1 <= flags.buckets <= 10_000:
        raise UserError(f"--buckets={flags.buckets} is out of range; give 1 to 10,000")
    kept = dict.fromkeys(_split_names(flags.keep_columns), "--keep-columns")
    opened = open_log(flags.dataset, flags.log, others=kept)
    require_columns(opened.file, opened.flags, "--log.columns")
    fingerprint = take_fingerprint(flags, _EXECUTION, opened.file)
    work = flags.out / "work"
    if not _is_finished(flags, fingerprint):
        _create_folders(flags.out, work, fingerprint, overwrite=flags.overwrite)
        prepare_folder(
            Workspace(opened, flags.filters, work, flags.buckets, flags.break_ties),
            _engine(flags, memory),
            SideTables(
                flags.items,
                flags.item_table,
                _split_names(flags.item_features),
                flags.users,
                flags.user_table,
                _split_names(flags.user_features),
            ),
            flags.out,
            memory=memory,
            made_of=fingerprint,
        )
    shutil.rmtree(work, ignore_errors=True)
    print(format_summary(summarize_log(read_prepared(flags.out), (), DataConfig()), str(flags.out)))


def _engine(flags: PrepareFlags, memory: int) -> Engine:
    if flags.engine == "spark":
        return Spark(flags.master)
    if flags.master != PrepareFlags.master:
        raise UserError(f"--master={flags.master} needs --engine=spark")
    return Local(min(_MAX_ROWS_AT_ONCE, memory // _BYTES_PER_ROW))


def _is_finished(flags: PrepareFlags, fingerprint: Mapping[str, Any]) -> bool:
    """Return whether this preparation is finished.

    Raises:
        UserError: the folder has a finished preparation of other inputs.
    """
    if flags.overwrite or not is_prepared(str(flags.out)):
        return False
    if different := describe_differences(read_manifest(flags.out).made_of, fingerprint):
        raise UserError(
            f"{flags.out} was prepared from other inputs ({different}); give another --out, or "
            "--overwrite"
        )
    return True


def _create_folders(
    folder: Path, work: Path, fingerprint: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Create the folders of a preparation, or keep those of an interrupted one.

    Raises:
        UserError: the folder has other files, or a preparation of other inputs.
    """
    # What the steps write also depends on the layout.
    settings, fingerprint = work / "settings.json", {"layout": LAYOUT, **fingerprint}
    is_ours = is_prepared(str(folder)) or settings.exists()
    if overwrite and is_ours:
        shutil.rmtree(folder)
    elif settings.exists():
        if different := describe_differences(read_json(settings), fingerprint):
            raise UserError(
                f"{folder} contains an unfinished preparation from other inputs ({different}); "
                "give its flags, or --overwrite"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} contains other files; give --out a new folder")
    for step in ("survey", "count", "clean", "ordered"):
        (work / step).mkdir(parents=True, exist_ok=True)
    write_json(settings, fingerprint)


def _split_names(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _parse_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB)", text)
    size = float(found[1]) * {"MB": 1e6, "GB": 1e9}[found[2]] if found else 0
    if size < 100e6:
        raise UserError(f"--memory={text} is out of range; give 100MB or more, as 500MB or 4GB")
    return int(size)


main = command(
    run,
    remedy="free disk space or change permissions, and run the same command again",
    interrupted="the same command continues",
)
