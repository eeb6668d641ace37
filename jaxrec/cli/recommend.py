"""Recommend to all users of a log, and write their lists to one table.

    jaxrec recommend --model=model.tflite --log=log.csv --k=10 --out=lists.parquet

The table has a row for each user and place in the list: user, place (from 1, best first), item,
score and title. The history of a user is all of their rows in the log, ordered by time. The model
reads the last N known items of it, and its items are excluded, unless the file was exported with
--keep-seen. Ids are compared as text. No row of the log is dropped for rare items or low ratings.
Features of activities and users are unknown here, and the command prints which the model has.

It uses all cores. The lists are written in parts, to the folder OUT.parts, and joined at the end:
the same command continues an interrupted one, with the same result as without a break.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

# NumPy reads it at its import. Each thread of the command computes products of its own; those of
# OpenBLAS would wait for each other, and on a busy machine take several times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
import tyro

from jaxrec.cli.command_line import command
from jaxrec.cli.fingerprint import MODEL, take_fingerprint
from jaxrec.cli.table_parts import TableParts, is_csv
from jaxrec.cli.user_lists import UserLists
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.data.interactions import Interactions
from jaxrec.data.progress import show_progress
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.log_file import open_log
from jaxrec.data.sources.own_log import load_table
from jaxrec.errors import UserError
from jaxrec.files import require_disk_space
from jaxrec.runtime.bundle import Bundle, parse_bundle, sha256
from jaxrec.runtime.features import input_features
from jaxrec.runtime.interpreter import RankedItems
from jaxrec.schema import PAD

# Most rows and users of a part: a few seconds of work, which an interruption loses.
_MAX_ROWS, _MAX_USERS = 1_000_000, 20_000


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """Model, log and output."""

    model: Path
    """a .tflite file that `jaxrec export` wrote"""
    log: str
    """log of the users: a file, or a folder or glob pattern of Parquet files, as for
    `jaxrec train`"""
    out: Path
    """file of the lists, .parquet or .csv"""
    k: int = 10
    """length of each list; shorter only if no more items are left"""
    columns: Annotated[LogConfig, tyro.conf.arg(name="log")] = field(default_factory=LogConfig)


def run(flags: ListFlags) -> None:
    """Read a log, recommend to its users and write their lists.

    Raises:
        UserError: an error that the user can fix.
    """
    _check_out(flags)
    content = flags.model.read_bytes()
    bundle = parse_bundle(content, flags.model)
    size = len(bundle.items)
    if not 1 <= flags.k <= size:
        raise UserError(f"--k={flags.k} is out of range; give 1 to {size:,}")
    opened = open_log(flags.log, flags.columns, others={}, flag="--log")
    step = max(1, min(_MAX_USERS, _MAX_ROWS // flags.k))
    others = {MODEL: sha256(content), "users of a part": step}
    fingerprint = take_fingerprint(flags, ("--model", "--out"), opened.file, **others)
    interactions = load_table(flags.log, flags.columns, flag="--log")
    log = _with_ids(interactions.log, bundle, flags)
    users = log.group_by("user", maintain_order=True).agg(known=(pl.col("id") != PAD).sum())
    print(_summarize(interactions, log, users, flags))
    if taken := input_features(bundle.model):
        names = ", ".join(each.name for each in taken)
        print(f"  unknown in these lists: {names}, which the model reads too")

    ids, ends = log["id"].to_numpy(), np.cumsum(users["known"].to_numpy(), dtype=np.int64)
    seen = ExcludedItems(ids[ids != PAD], np.append(0, ends))
    lists = UserLists(bundle, seen, flags.k)
    if not lists.is_fast:
        print(f"  lists take longer: {_slow_reason(flags.k, lists.top_k)}")
    parts = TableParts(flags.out, -(-users.height // step))
    if discarded := parts.open(fingerprint):
        print(f"  {discarded}; starting again")
    _write_parts(parts, users["user"], step, lists, _describe(bundle))
    print(f"{flags.out}: {parts.join():,} rows")


def _check_out(flags: ListFlags) -> None:
    """Raise, before any work, if the output cannot or should not be written."""
    out = flags.out
    if not is_csv(out) and out.suffix.lower() != ".parquet":
        raise UserError(f"--out={out} is neither .parquet nor .csv; give one of these")
    if out.is_dir():
        raise UserError(f"--out={out} is a folder; give a file in it")
    if out.exists() and Path(flags.log).exists() and out.samefile(flags.log):
        raise UserError(f"--out={out} is the log itself; give another file")
    folder = Path(flags.log)
    if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"--out={out} is in the folder of the log; give a file in another folder")
    require_disk_space(out.parent)


def _with_ids(log: pl.DataFrame, bundle: Bundle, flags: ListFlags) -> pl.DataFrame:
    """Sort a log by user and time, and add the `id` of each item, PAD if it is unknown.

    Raises:
        UserError: no item is known.
    """
    raw = pl.Series(bundle.items).cast(pl.String)
    numbers = pl.Series(range(1, len(raw) + 1), dtype=pl.Int32)
    by_text = pl.col("item").cast(pl.String)
    found = by_text.replace_strict(raw, numbers, default=PAD, return_dtype=pl.Int32)
    log = log.sort("user", "timestamp", maintain_order=True).with_columns(id=found)
    if (log["id"] == PAD).all():
        raise UserError(
            f"{flags.model} has none of the items of {flags.log}: it has {len(raw):,}, such as "
            f"{bundle.items[0]!r}, and the log has {log['item'][0]!r}; change --log.item or --log"
        )
    return log


def _summarize(
    interactions: Interactions, log: pl.DataFrame, users: pl.DataFrame, flags: ListFlags
) -> str:
    """Format a summary of a log: its size, dropped rows, notes, and unknown items and users."""
    unknown, unknown_users = log.filter(pl.col("id") == PAD), users.filter(pl.col("known") == 0)
    lines = [f"{flags.log}: {log.height:,} interactions of {users.height:,} users"]
    lines += [f"  dropped: {count:,} by {flag}" for flag, count in interactions.dropped.items()]
    lines += [f"  note: {note}" for note in interactions.notes]
    if unknown.height:
        lines.append(
            f"  unknown to the model: {unknown['item'].n_unique():,} items, in "
            f"{unknown.height:,} interactions; they are ignored"
        )
    if unknown_users.height:
        lines.append(f"  {unknown_users.height:,} users without known items get the popular items")
    return "\n".join(lines)


def _slow_reason(k: int, top_k: int) -> str:
    if k > top_k:
        return f"--k={k} is more than the file's own {top_k}; export it with --top-k={k}"
    return "the file computes every score, as NumPy rounds otherwise here"


def _write_parts(
    parts: TableParts, users: pl.Series, step: int, lists: UserLists, described: pl.DataFrame
) -> None:
    """Write the missing parts, of `step` users each."""
    missing = parts.missing()
    done = len(users) - sum(len(users[number * step : (number + 1) * step]) for number in missing)
    if done:
        print(f"  continues after {done:,} users, from {parts.folder}")
    try:
        with show_progress(total=len(users), initial=done, unit="user") as progress:
            for number in missing:
                found = []
                for block in lists.of_users(number * step, min((number + 1) * step, len(users))):
                    found.append(block)
                    progress.update(len(block.ids))
                ranked = RankedItems(*map(np.concatenate, zip(*found, strict=True)))
                parts.write(number, _table(users[number * step :], ranked, described))
    finally:
        lists.close()


def _describe(bundle: Bundle) -> pl.DataFrame:
    """Return `item` and `title` of each item of a model, [V]."""
    titles = [entry["title"] for entry in bundle.catalogue]
    return pl.DataFrame({"item": bundle.items, "title": pl.Series(titles, dtype=pl.String)})


def _table(users: pl.Series, lists: RankedItems, described: pl.DataFrame) -> pl.DataFrame:
    """Return a table with a row for each filled place of the lists of the first users."""
    rows, places = np.nonzero(lists.ids)
    items = described[lists.ids[rows, places] - 1]
    return pl.DataFrame(
        {
            "user": users.gather(rows),
            "place": pl.Series(places + 1, dtype=pl.Int32),
            "item": items["item"],
            "score": lists.scores[rows, places],
            "title": items["title"],
        }
    )


main = command(
    run,
    remedy="give files that can be read, and an --out that can be written; the same command "
    "continues",
    interrupted="the same command continues",
)
