"""Interactions: the one type that every source of data returns."""

from dataclasses import dataclass

import polars as pl

from jaxrec.errors import UserError

ITEM_COLUMNS = ("item", "title", "genres", "year")


@dataclass(frozen=True)
class Interactions:
    """A log of who did what when, and what is known of the items.

    Attributes:
        log: one row an interaction, in the order of the source: `user` and `item` (raw ids of any
            type), `timestamp` (integer or float, in the source's unit; only its order counts) and,
            where the source has one, `rating` (Float64).
        items: one row an item, in any order, for at least the items that are described:
            `item` (of the type in the log), `title` (String), `genres` (List(String)) and
            `year` (Int32); null where unknown.
    """

    log: pl.DataFrame
    items: pl.DataFrame

    def __post_init__(self) -> None:
        missing = {"user", "item", "timestamp"} - set(self.log.columns)
        if missing:
            raise ValueError(f"the log lacks the columns {sorted(missing)}")
        if tuple(self.items.columns) != ITEM_COLUMNS:
            raise ValueError(f"the item table has {self.items.columns}, not {ITEM_COLUMNS}")


def keep_frequent(
    interactions: Interactions,
    *,
    min_rating: float | None,
    min_item_interactions: int,
    min_user_interactions: int,
) -> Interactions:
    """Drop low ratings, then rare items, then short users, once each and in this order.

    One pass, as the published preparations do it: dropping users can leave an item with fewer
    interactions than its minimum, and that item stays.

    Raises:
        UserError: the log has no ratings to filter by, or nothing is left.
    """
    log = interactions.log
    if log.is_empty():
        raise UserError("the log holds no interaction; give --dataset a file with rows")
    if min_rating is not None:
        if "rating" not in log.columns:
            raise UserError(
                f"--min-rating={min_rating:g} needs ratings and the log has none; "
                "leave the flag out or name the column with --rating-column"
            )
        log = log.filter(pl.col("rating") >= min_rating)
    log = log.filter(pl.len().over("item") >= min_item_interactions)
    log = log.filter(pl.len().over("user") >= min_user_interactions)
    if log.is_empty():
        raise UserError(
            f"no user with enough interactions is left of {interactions.log.height:,} rows; lower "
            f"--min-user-interactions={min_user_interactions}, "
            f"--min-item-interactions={min_item_interactions} or --min-rating"
        )
    return Interactions(log, interactions.items)
