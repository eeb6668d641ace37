"""Interactions: the type that every data source returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError

# Columns that describe an item, beside its id.
DESCRIPTION = {"title": pl.String(), "genres": pl.List(pl.String()), "year": pl.Int32()}
ITEM_COLUMNS = ("item", *DESCRIPTION)

# True for the rows of an item table that have any description.
DESCRIBES = pl.any_horizontal(pl.col(*DESCRIPTION).is_not_null())

TimeUnit = Literal["auto", "seconds", "milliseconds", "microseconds", "nanoseconds"]
TICKS_PER_SECOND: dict[TimeUnit, int] = {
    "seconds": 1,
    "milliseconds": 10**3,
    "microseconds": 10**6,
    "nanoseconds": 10**9,
}


@dataclass(frozen=True, eq=False)
class Interactions:
    """A log of interactions, with descriptions of its items and users.

    Attributes:
        log: one row per interaction, in the order of the source: `user` and `item` (raw ids of any
            type), `timestamp` (integer or float, in the source's unit), `rating` (Float64) and
            `event` (text or numbers) where the source has them, and the other requested columns,
            text or numbers.
        items: one row per item, in any order, for at least the items that are described:
            `item` (of the type in the log), `title` (String), `genres` (List(String)) and
            `year` (Int32), and the other requested columns; null where unknown.
        users: one row per user: `user` (of the type in the log) and the requested columns, text or
            numbers; null where unknown. None: no table describes users.
        ticks_per_second: unit of the timestamps; None if unknown.
        dropped: number of rows dropped from the source, by the flag that requested it.
        notes: assumptions that the source made, and anomalies in it.
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
        """Number of rows in the source."""
        return self.log.height + sum(self.dropped.values())


@dataclass(frozen=True)
class FilterConfig:
    """Filters: rows of the log that are dropped."""

    min_item_interactions: int = setting(5, 1, 1_000_000)
    """drop items with fewer interactions than this"""
    min_user_interactions: int = setting(3, 1, 1_000_000, advanced=True)
    """drop users with fewer interactions than this"""
    min_rating: float | None = setting(None, advanced=True)
    """drop interactions rated lower than this"""
    drop_duplicates: bool = setting(False, advanced=True)
    """drop rows that repeat the user, item and time of an earlier row"""

    def __post_init__(self) -> None:
        check(self)


def filter_log(interactions: Interactions, config: FilterConfig) -> Interactions:
    """Drop duplicates, low ratings, rare items and short users, once each and in this order.

    A single pass, as in the published preprocessing: dropping users can leave an item with fewer
    interactions than its minimum, and that item is kept.

    Raises:
        UserError: the log is empty, has no ratings to filter by, or has no row left.
    """
    rows = interactions.log
    if rows.is_empty():
        raise UserError("the log has no interactions; give --dataset a file with rows")
    log, dropped = drop_rows(rows, config)
    log, more = drop_rare(log, frequent_items(count_items(log), config), config)
    dropped = nonzero_counts({**interactions.dropped, **dropped, **more})
    require_rows(log.height, interactions.rows, dropped)
    return replace(interactions, log=log, dropped=dropped)


def drop_rows(log: pl.DataFrame, config: FilterConfig) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drop duplicates, then low ratings; the result for a user depends on that user's rows alone.

    Returns:
        The remaining rows, and the number of rows that each flag dropped.

    Raises:
        UserError: there are no ratings to filter by.
    """
    dropped, kept = {}, log
    if config.drop_duplicates:
        kept = log.filter(pl.struct("user", "item", "timestamp").is_first_distinct())
        dropped |= count_dropped("--drop-duplicates", log, kept)
    if config.min_rating is not None:
        if not log.schema.get("rating", pl.String()).is_numeric():
            raise UserError(
                f"--min-rating={config.min_rating:g} needs ratings and the log has none; "
                "omit the flag, or name their column with --log.rating"
            )
        low, kept = kept, kept.filter(pl.col("rating") >= config.min_rating)
        dropped |= count_dropped(f"--min-rating={config.min_rating:g}", low, kept)
    return kept, dropped


def count_items(log: pl.DataFrame) -> pl.DataFrame:
    """Return the number of rows of each `item`, as `count`."""
    return log.group_by("item").len("count")


def frequent_items(counts: pl.DataFrame, config: FilterConfig) -> pl.Series:
    """Return the items with enough interactions, sorted."""
    return counts.filter(pl.col("count") >= config.min_item_interactions)["item"].sort()


def drop_rare(
    log: pl.DataFrame, items: pl.Series, config: FilterConfig
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drop rows of items other than `items`, then of users with too few rows left.

    Returns:
        The remaining rows, and the number of rows that each flag dropped.
    """
    frequent = log.join(items.to_frame("item"), on="item", how="semi", maintain_order="left")
    min_rows = config.min_user_interactions
    kept = frequent.filter(pl.len().over("user") >= min_rows)
    flag = f"--min-item-interactions={config.min_item_interactions}"
    return kept, {
        **count_dropped(flag, log, frequent),
        **count_dropped(f"--min-user-interactions={min_rows}", frequent, kept),
    }


def count_dropped(flag: str, before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """Return the number of rows that a flag dropped, by the flag."""
    return {flag: before.height - after.height}


def nonzero_counts(dropped: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of the flags that dropped any rows."""
    return {flag: count for flag, count in dropped.items() if count}


def require_rows(kept: int, rows: int, dropped: Mapping[str, int]) -> None:
    """Check that the filters leave any rows.

    Raises:
        UserError: they leave none.
    """
    if not kept:
        counts = ", ".join(f"{count:,} by {flag}" for flag, count in dropped.items())
        raise UserError(f"none of {rows:,} rows is left: {counts} were dropped; relax these flags")
