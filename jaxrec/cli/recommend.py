"""Recommend to all users of a log, and write their lists to one table.

    jaxrec recommend --model=model.tflite --log=log.csv --k=10 --out=lists.parquet

The table has a row for each user and place in the list: user, place (from 1, best first), item,
score and title. The history of a user is all of their rows in the log, ordered by time. The model
reads the last N known items of it, and its items are excluded, unless the file was exported with
--keep-seen. Ids are compared as text. No row of the log is dropped for rare items or low ratings.
Features of activities and users are unknown here, and the command prints which the model has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import tyro
from tqdm import tqdm

from jaxrec.cli.command_line import command
from jaxrec.conversion.measure.file_lists import recommend_unseen
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.data.interactions import Interactions
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.own_log import load_table
from jaxrec.data.timelines import gather
from jaxrec.errors import UserError
from jaxrec.files import replacing, require_disk_space
from jaxrec.runtime.bundle import Bundle, read_bundle
from jaxrec.runtime.features import InputFeature, input_features
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, RankedItems
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.request import unknown_inputs
from jaxrec.runtime.top_k import histories_per_chunk
from jaxrec.schema import PAD


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
    bundle = read_bundle(flags.model)
    size = len(bundle.items)
    if not 1 <= flags.k <= size:
        raise UserError(f"--k={flags.k} is out of range; give 1 to {size:,}")
    interactions = load_table(flags.log, flags.columns, flag="--log")
    log = _with_ids(interactions.log, bundle, flags)
    users = log.group_by("user", maintain_order=True).agg(known=(pl.col("id") != PAD).sum())
    print(_summarize(interactions, log, users, flags))
    taken = input_features(bundle.model)
    if taken:
        names = ", ".join(each.name for each in taken)
        print(f"  unknown in these lists: {names}, which the model reads too")

    ids, ends = log["id"].to_numpy(), np.cumsum(users["known"].to_numpy(), dtype=np.int64)
    seen = ExcludedItems(ids[ids != PAD], np.append(0, ends))
    with suppress_output():
        device = DeviceModel(bundle.graph)
    scorer = ItemScorer(device, size)
    lists = _recommend(scorer, taken, seen, flags.k, keep_seen=bundle.model["keep_seen"])
    table = _table(users["user"], lists, bundle)
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(flags.out) as file:
        (table.write_csv if _is_csv(flags.out) else table.write_parquet)(file)
    print(f"{flags.out}: {table.height:,} rows")


def _check_out(flags: ListFlags) -> None:
    """Raise, before any work, if the output cannot or should not be written."""
    out = flags.out
    if not _is_csv(out) and out.suffix.lower() != ".parquet":
        raise UserError(f"--out={out} is neither .parquet nor .csv; give one of these")
    if out.is_dir():
        raise UserError(f"--out={out} is a folder; give a file in it")
    if out.exists() and Path(flags.log).exists() and out.samefile(flags.log):
        raise UserError(f"--out={out} is the log itself; give another file")
    require_disk_space(out.parent)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


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


def _recommend(
    scorer: ItemScorer,
    taken: Sequence[InputFeature],
    seen: ExcludedItems,
    k: int,
    *,
    keep_seen: bool,
) -> RankedItems:
    """Compute the list of each user, [U, k], in batches that fit in memory.

    Args:
        taken: the features of the model beside items, all of which are unknown here.
        seen: the ids of each user's items, oldest first.
    """
    device, size = scorer.device, scorer.size
    length = device.history_length
    ports = device.signatures["recommend"].inputs
    step = histories_per_chunk(device.batch_size, size)
    found = []
    with tqdm(total=len(seen), unit="user", disable=None, leave=False) as bar:
        for start in range(0, len(seen), step):
            users = np.arange(start, min(start + step, len(seen)))
            histories = unknown_inputs(ports, taken, len(users))
            ends = seen.offsets[users + 1]
            histories[HISTORY] = gather(seen.ids, seen.offsets[users], ends, length)
            of_batch = seen.gather(users)
            found.append(recommend_unseen(scorer, histories, of_batch, k, keep_seen=keep_seen))
            bar.update(len(users))
    return RankedItems(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _table(users: pl.Series, lists: RankedItems, bundle: Bundle) -> pl.DataFrame:
    """Return a table with a row for each filled place of each list."""
    rows, places = np.nonzero(lists.ids)
    recommended, entry_of = np.unique(lists.ids[rows, places], return_inverse=True)
    entries = [bundle.catalogue[number - 1] for number in recommended.tolist()]
    columns = {"item": None, "title": pl.String()}
    described = pl.DataFrame(entries, columns, infer_schema_length=None)[entry_of]
    return pl.DataFrame(
        {
            "user": users.gather(rows),
            "place": pl.Series(places + 1, dtype=pl.Int32),
            "item": described["item"],
            "score": lists.scores[rows, places],
            "title": described["title"],
        }
    )


main = command(
    run,
    remedy="give files that can be read, and an --out that can be written",
    interrupted="nothing was written",
)
