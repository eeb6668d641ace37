"""Interactions: the one type that every source of data returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from jaxrec.config import DataConfig, TimeUnit
from jaxrec.errors import UserError

ITEM_COLUMNS = ("item", "title", "genres", "year")

# Which rows of an item table say something.
DESCRIBES = pl.any_horizontal(pl.col(*ITEM_COLUMNS[1:]).is_not_null())

TICKS_PER_SECOND: dict[TimeUnit, int] = {
    "seconds": 1,
    "milliseconds": 10**3,
    "microseconds": 10**6,
    "nanoseconds": 10**9,
}


@dataclass(frozen=True)
class Interactions:
    """A log of who did what when, and what is known of the items.

    Attributes:
        log: one row an interaction, in the order of the source: `user` and `item` (raw ids of any
            type), `timestamp` (integer or float, in the source's unit), where the source has one
            `rating` (Float64) and `event` (of text or of numbers), and what other columns were
            asked for, of text or of numbers.
        items: one row an item, in any order, for at least the items that are described:
            `item` (of the type in the log), `title` (String), `genres` (List(String)) and
            `year` (Int32), and what other columns were asked for; null where unknown.
        users: one row a user: `user` (of the type in the log) and what columns were asked for, of
            text or of numbers; null where unknown. None: no table describes them.
        ticks_per_second: the unit of the times; None where it cannot be told.
        dropped: how many rows of the source were dropped, by the flag that asked for it.
        notes: what the source had to guess, and what is odd in it.
    """

    log: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None
    ticks_per_second: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = {"user", "item", "timestamp"} - set(self.log.columns)
        if missing:
            raise ValueError(f"the log lacks the columns {sorted(missing)}")
        if tuple(self.items.columns[: len(ITEM_COLUMNS)]) != ITEM_COLUMNS:
            raise ValueError(f"the item table has {self.items.columns}, not {ITEM_COLUMNS}")

    @property
    def rows(self) -> int:
        """How many rows the source had."""
        return self.log.height + sum(self.dropped.values())


def keep_frequent(interactions: Interactions, config: DataConfig) -> Interactions:
    """Drop copies, then low ratings, rare items, and short users, once each and in this order.

    One pass, as the published preparations do it: dropping users can leave an item with fewer
    interactions than its minimum, and that item stays.

    Raises:
        UserError: the log has no ratings to filter by, or nothing is left.
    """
    log = interactions.log
    if log.is_empty():
        raise UserError("the log holds no interaction; give --dataset a file with rows")
    has_ratings = log.schema.get("rating", pl.String()).is_numeric()
    if config.min_rating is not None and not has_ratings:
        raise UserError(
            f"--min-rating={config.min_rating:g} needs ratings and the log has none; "
            "leave the flag out or name the column with --rating-column"
        )
    filters = {}
    if config.drop_duplicates:
        filters["--drop-duplicates"] = pl.struct("user", "item", "timestamp").is_first_distinct()
    if config.min_rating is not None:
        filters[f"--min-rating={config.min_rating:g}"] = pl.col("rating") >= config.min_rating
    for name, least in (
        ("item", config.min_item_interactions),
        ("user", config.min_user_interactions),
    ):
        filters[f"--min-{name}-interactions={least}"] = pl.len().over(name) >= least
    dropped = dict(interactions.dropped)
    for flag, is_kept in filters.items():
        kept = log.filter(is_kept)
        if kept.height < log.height:
            dropped[flag] = log.height - kept.height
        log = kept
    if log.is_empty():
        told = ", ".join(f"{count:,} by {flag}" for flag, count in dropped.items())
        raise UserError(
            f"nothing is left of {interactions.rows:,} rows: {told} were dropped; lower these"
        )
    return replace(interactions, log=log, dropped=dropped)
