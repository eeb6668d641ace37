"""Interactions: the one type that every source of data returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl

from jaxrec.config.fields import check, setting
from jaxrec.errors import UserError

# What is known of an item beside its id.
DESCRIPTION = {"title": pl.String(), "genres": pl.List(pl.String()), "year": pl.Int32()}
ITEM_COLUMNS = ("item", *DESCRIPTION)

# Which rows of an item table say something.
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


@dataclass(frozen=True)
class FilterConfig:
    """Filters: what is dropped of the log before anything else."""

    min_item_interactions: int = setting(5, 1, 1_000_000)
    """drop items with fewer interactions than this"""
    min_user_interactions: int = setting(3, 1, 1_000_000, advanced=True)
    """drop users with fewer interactions than this"""
    min_rating: float | None = setting(None, advanced=True)
    """drop interactions rated lower than this"""
    drop_duplicates: bool = setting(False, advanced=True)
    """drop rows that repeat the user, the item and the time of an earlier row"""

    def __post_init__(self) -> None:
        check(self)


def keep_frequent(interactions: Interactions, config: FilterConfig) -> Interactions:
    """Drop copies, then low ratings, rare items, and short users, once each and in this order.

    One pass, as the published preparations do it: dropping users can leave an item with fewer
    interactions than its minimum, and that item stays.

    Raises:
        UserError: the log has no ratings to filter by, or nothing is left.
    """
    rows = interactions.log
    if rows.is_empty():
        raise UserError("the log holds no interaction; give --dataset a file with rows")
    log, dropped = drop_rows(rows, config)
    log, more = drop_rare(log, frequent_items(count_items(log), config), config)
    dropped = not_zero({**interactions.dropped, **dropped, **more})
    require_some(log.height, interactions.rows, dropped)
    return replace(interactions, log=log, dropped=dropped)


def drop_rows(log: pl.DataFrame, config: FilterConfig) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drop copies, then low ratings; a user's rows alone decide.

    Returns:
        What is left, and how many rows each flag dropped.

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
                "leave the flag out or name the column with --log.rating"
            )
        low, kept = kept, kept.filter(pl.col("rating") >= config.min_rating)
        dropped |= count_dropped(f"--min-rating={config.min_rating:g}", low, kept)
    return kept, dropped


def count_items(log: pl.DataFrame) -> pl.DataFrame:
    """Count the rows of each `item`."""
    return log.group_by("item").len("count")


def frequent_items(counts: pl.DataFrame, config: FilterConfig) -> pl.Series:
    """Give the items that stay, in their order."""
    return counts.filter(pl.col("count") >= config.min_item_interactions)["item"].sort()


def drop_rare(
    log: pl.DataFrame, items: pl.Series, config: FilterConfig
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drop items that are not among some, then users with few rows left.

    Returns:
        What is left, and how many rows each flag dropped.
    """
    of_items = log.join(items.to_frame("item"), on="item", how="semi", maintain_order="left")
    least = config.min_user_interactions
    kept = of_items.filter(pl.len().over("user") >= least)
    flag = f"--min-item-interactions={config.min_item_interactions}"
    return kept, {
        **count_dropped(flag, log, of_items),
        **count_dropped(f"--min-user-interactions={least}", of_items, kept),
    }


def count_dropped(flag: str, before: pl.DataFrame, after: pl.DataFrame) -> dict[str, int]:
    """Count what a flag dropped."""
    return {flag: before.height - after.height}


def not_zero(dropped: Mapping[str, int]) -> dict[str, int]:
    """Pass over the flags that dropped nothing."""
    return {flag: count for flag, count in dropped.items() if count}


def require_some(kept: int, rows: int, dropped: Mapping[str, int]) -> None:
    """Refuse filters that leave nothing.

    Raises:
        UserError: they do.
    """
    if not kept:
        told = ", ".join(f"{count:,} by {flag}" for flag, count in dropped.items())
        raise UserError(f"nothing is left of {rows:,} rows: {told} were dropped; lower these")
