"""Ordered log: by user and time, with its items numbered. Training starts from it.

A small log becomes one in memory; a large one lies in a prepared folder (`prepared`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int, Int32, Shaped

from jaxrec.data.interactions import FilterConfig, Interactions, keep_frequent
from jaxrec.data.vocabulary import number_items

# What every log has. What other columns say of an activity is read where it is of use.
_OWN = ("user", "item", "timestamp")


@dataclass(frozen=True)
class Oddities:
    """Counts of what is odd in a log; those of its parts add up.

    Attributes:
        steps: from one activity of a user to the next ...
        tied: ... of these take no time.
        backwards: steps of a user's from row to row of the source in which time falls ...
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
        """Share of the steps that take no time."""
        return self.tied / max(self.steps, 1)

    def __add__(self, other: "Oddities") -> "Oddities":
        names = [each.name for each in fields(self)]
        return Oddities(*(getattr(self, name) + getattr(other, name) for name in names))


class Ordered(NamedTuple):
    """Activities by user and time.

    Attributes:
        users: the raw users, in their order, [U].
        offsets: where the activities of each begin, and where the last one's end, [U + 1].
        items: the number of each activity's item, [n].
        timestamps: [n].
        columns: what else is known of each, n rows.
        oddities: of them.
    """

    users: pl.Series
    offsets: Int[np.ndarray, " U_plus_1"]
    items: Int32[np.ndarray, " n"]
    timestamps: Shaped[np.ndarray, " n"]
    columns: pl.DataFrame
    oddities: Oddities


@dataclass(frozen=True, eq=False)
class OrderedLog:
    """A log by user and time.

    Attributes:
        catalogue: a row for each item, by raw item: `item`, `title`, `genres`, `year` and what
            other columns were asked for; null where unknown. Items are numbered by its rows, from
            1.
        items: the number of each activity's item, [n].
        offsets: user u's activities are `offsets[u]` to `offsets[u + 1] - 1`, [U + 1].
        timestamps: the time of each, never falling within a user, [n].
        columns: what else is known of each, as ratings and events, n rows.
        source: the same of the rows that were dropped too, in any order, if it is known.
        users: a row for each: `user` (raw), and what is known of them beside it.
        ticks_per_second: the unit of the times; None where it cannot be told.
        rows: how many the source had.
        dropped: how many of these were dropped, by the flag that asked for it.
        oddities: of those that were kept.
        notes: what the source had to guess, and what is odd in it.
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
    oddities: Oddities = Oddities()
    notes: tuple[str, ...] = ()

    def told(self, position: int) -> str:
        """Name an activity, as a message does."""
        user = int(np.searchsorted(self.offsets, position, side="right")) - 1
        item = int(self.items[position]) - 1
        return f"user {self.users['user'][user]!r} and item {self.catalogue['item'][item]!r}"


def order(interactions: Interactions, filters: FilterConfig) -> OrderedLog:
    """Filter a log, order it by user and time, and number its items.

    Raises:
        UserError: nothing is left.
    """
    kept = keep_frequent(interactions, filters)
    known = kept.log["item"].unique().sort()
    catalogue = known.to_frame().join(kept.items, on="item", how="left", maintain_order="left")
    rows = order_rows(kept.log, known)
    users = rows.users.to_frame()
    if kept.users is not None:
        users = users.join(kept.users, on="user", how="left", maintain_order="left")
    return OrderedLog(
        catalogue,
        rows.items,
        rows.offsets,
        rows.timestamps,
        rows.columns,
        interactions.log.drop(_OWN),
        users,
        kept.ticks_per_second,
        kept.rows,
        kept.dropped,
        rows.oddities,
        kept.notes,
    )


def order_rows(log: pl.DataFrame, items: pl.Series) -> Ordered:
    """Sort all activities of some users.

    The sort is stable: activities of one moment keep the order of the source (an unstable sort
    changes up to a quarter of MovieLens's test targets).

    Args:
        log: of these users, in the order of the source.
        items: the raw item of each number from 1 on.
    """
    ordered = log.sort("user", "timestamp", maintain_order=True)
    users = ordered.group_by("user", maintain_order=True).len()
    offsets = np.concatenate([[0], np.cumsum(users["len"].to_numpy(), dtype=np.int64)])
    return Ordered(
        users["user"],
        offsets,
        number_items(ordered["item"], items),
        ordered["timestamp"].to_numpy(),
        ordered.drop(_OWN),
        _oddities(log, ordered),
    )


def _oddities(log: pl.DataFrame, ordered: pl.DataFrame) -> Oddities:
    is_step = ordered["user"].eq_missing(ordered["user"].shift())
    is_tied = is_step & ordered["timestamp"].eq_missing(ordered["timestamp"].shift())
    step = pl.col("timestamp").diff().over("user")
    backwards, forwards = log.select(back=step < 0, on=step > 0).sum().row(0)
    # A copy stands at a tied step; most logs have few of them.
    beside = ordered.filter(is_tied | is_tied.shift(-1, fill_value=False)).select(_OWN)
    copies = beside.height - beside.n_unique()
    return Oddities(int(is_step.sum()), int(is_tied.sum()), backwards, forwards, copies)
