"""Ordered log: sorted by user and time, with numbered items; the input of training.

A small log is ordered in memory; a large one is read from a prepared folder (`prepared`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Int, Int32, Shaped

from jaxrec.data.interactions import FilterConfig, Interactions, filter_log
from jaxrec.data.ties import break_ties, mask_ties
from jaxrec.data.vocabulary import index_items

# Columns of every log. Features, labels and weights are read from the others.
_KEY_COLUMNS = ("user", "item", "timestamp")


@dataclass(frozen=True)
class LogAnomalies:
    """Counts of anomalies in a log; the counts of its parts add up.

    Attributes:
        steps: pairs of consecutive activities of a user ...
        tied: ... of which these have equal times.
        backwards: pairs of consecutive rows of a user in the source in which time falls ...
        forwards: ... and in which it rises.
        copies: rows that repeat the user, the item and the time of another.
    """

    steps: int = 0
    tied: int = 0
    backwards: int = 0
    forwards: int = 0
    copies: int = 0

    @property
    def tied_steps(self) -> float:
        """Share of the steps whose two activities have equal times."""
        return self.tied / max(self.steps, 1)

    def __add__(self, other: "LogAnomalies") -> "LogAnomalies":
        names = [each.name for each in fields(self)]
        return LogAnomalies(*(getattr(self, name) + getattr(other, name) for name in names))


class OrderedRows(NamedTuple):
    """Activities sorted by user and time.

    Attributes:
        users: the raw users, sorted, [U].
        offsets: start of each user's activities, and the end of the last user's, [U + 1].
        items: the number of each activity's item, [n].
        timestamps: the time of each activity, [n].
        columns: the other columns of the activities, n rows.
        anomalies: anomalies of the activities.
    """

    users: pl.Series
    offsets: Int[np.ndarray, " U_plus_1"]
    items: Int32[np.ndarray, " n"]
    timestamps: Shaped[np.ndarray, " n"]
    columns: pl.DataFrame
    anomalies: LogAnomalies


@dataclass(frozen=True, eq=False)
class OrderedLog:
    """A log sorted by user and time.

    Attributes:
        catalogue: one row per item, sorted by raw item: `item`, `title`, `genres`, `year` and the
            other requested columns; null where unknown. Items are numbered by row, from 1.
        items: the number of each activity's item, [n].
        offsets: user u's activities are `offsets[u]` to `offsets[u + 1] - 1`, [U + 1].
        timestamps: the time of each activity, non-decreasing within a user, [n].
        columns: the other columns of the activities, such as ratings and events, n rows.
        source: the same columns of all rows before the filters, in any order; of a prepared folder,
            `columns` itself, as dropped rows are not stored.
        users: one row per user: `user` (raw), and the columns that describe users.
        ticks_per_second: unit of the timestamps; None if unknown.
        rows: number of rows in the source.
        dropped: number of rows dropped from these, by the flag that requested it.
        anomalies: anomalies of the kept rows.
        notes: assumptions that the source made, and anomalies in it.
        tie_seed: seed of the order of activities with equal times; None: that of the source.
    """

    catalogue: pl.DataFrame
    items: Int32[np.ndarray, " n"]
    offsets: Int[np.ndarray, " U_plus_1"]
    timestamps: Shaped[np.ndarray, " n"]
    columns: pl.DataFrame
    source: pl.DataFrame
    users: pl.DataFrame
    ticks_per_second: int | None
    rows: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    anomalies: LogAnomalies = LogAnomalies()
    notes: tuple[str, ...] = ()
    tie_seed: int | None = None

    def describe(self, position: int) -> str:
        """Format the user and the item of an activity, for error messages."""
        user = int(np.searchsorted(self.offsets, position, side="right")) - 1
        item = int(self.items[position]) - 1
        return f"user {self.users['user'][user]!r} and item {self.catalogue['item'][item]!r}"


def order_log(
    interactions: Interactions, filters: FilterConfig, tie_seed: int | None = None
) -> OrderedLog:
    """Filter a log, sort it by user and time, and number its items.

    Args:
        tie_seed: as in `order_rows`.

    Raises:
        UserError: the filters leave no row, or cannot be applied.
    """
    kept = filter_log(interactions, filters)
    known = kept.log["item"].unique().sort()
    catalogue = known.to_frame().join(kept.items, on="item", how="left", maintain_order="left")
    rows = order_rows(kept.log, known, tie_seed)
    users = rows.users.to_frame()
    if kept.users is not None:
        users = users.join(kept.users, on="user", how="left", maintain_order="left")
    return OrderedLog(
        catalogue,
        rows.items,
        rows.offsets,
        rows.timestamps,
        rows.columns,
        interactions.log.drop(_KEY_COLUMNS),
        users,
        kept.ticks_per_second,
        kept.rows,
        kept.dropped,
        rows.anomalies,
        kept.notes,
        tie_seed,
    )


def select_rows(
    log: OrderedLog, is_selected: Bool[np.ndarray, " n"], items: Int[np.ndarray, " k"]
) -> OrderedLog:
    """Return the log of some rows, with a catalogue of some items in another order.

    `source`, `rows` and `anomalies` stay those of the whole log.

    Args:
        is_selected: mask of the rows; those of other items are dropped.
        items: the present number of each item of the new catalogue.
    """
    new_numbers = np.zeros(log.catalogue.height + 1, np.int32)
    new_numbers[items] = np.arange(1, len(items) + 1)
    numbers = new_numbers[log.items]
    is_kept = is_selected & (numbers > 0)
    counts = np.add.reduceat(is_kept, log.offsets[:-1], dtype=np.int64)
    mask = pl.Series(is_kept)
    return replace(
        log,
        catalogue=log.catalogue[items - 1],
        items=numbers[is_kept],
        offsets=np.concatenate([[0], np.cumsum(counts[counts > 0])]),
        timestamps=log.timestamps[is_kept],
        columns=log.columns.filter(mask) if log.columns.width else log.columns,
        users=log.users.filter(pl.Series(counts > 0)),
    )


def order_rows(log: pl.DataFrame, items: pl.Series, tie_seed: int | None = None) -> OrderedRows:
    """Sort the activities of some users by user and time.

    The sort is stable: without a seed, activities of equal times keep the order of the source (an
    unstable sort changes up to a quarter of MovieLens's test targets).

    Args:
        log: all rows of these users, in the order of the source.
        items: the raw item of each number, from 1.
        tie_seed: seed of the order of activities with equal times; None: the order of the source.
    """
    ordered = log.sort("user", "timestamp", maintain_order=True)
    if tie_seed is not None:
        ordered = break_ties(ordered, tie_seed)
    users = ordered.group_by("user", maintain_order=True).len()
    offsets = np.concatenate([[0], np.cumsum(users["len"].to_numpy(), dtype=np.int64)])
    return OrderedRows(
        users["user"],
        offsets,
        index_items(ordered["item"], items),
        ordered["timestamp"].to_numpy(),
        ordered.drop(_KEY_COLUMNS),
        _count_anomalies(log, ordered),
    )


def _count_anomalies(log: pl.DataFrame, ordered: pl.DataFrame) -> LogAnomalies:
    is_step = ordered["user"].eq_missing(ordered["user"].shift())
    is_tied = mask_ties(ordered)
    step = pl.col("timestamp").diff().over("user")
    backwards, forwards = log.select(back=step < 0, on=step > 0).sum().row(0)
    # Copies have equal times, so only tied rows need a search; most logs have few.
    tied_rows = ordered.filter(is_tied | is_tied.shift(-1, fill_value=False)).select(_KEY_COLUMNS)
    copies = tied_rows.height - tied_rows.n_unique()
    return LogAnomalies(int(is_step.sum()), int(is_tied.sum()), backwards, forwards, copies)
