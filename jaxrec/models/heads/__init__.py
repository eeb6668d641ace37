"""Heads, which predict labels beside the next item: one per file, by name in HEADS.

To add one, write a class in a file of its own here, add a line to HEADS, and request the head in
`DataConfig.requested_heads`.
"""

from jaxrec.models.heads.head import Head
from jaxrec.models.heads.rating import RatingHead

HEADS: dict[str, type[Head]] = {"rating": RatingHead}


def item_parameters() -> tuple[str, ...]:
    """Return the names of all head parameters with one row per item, such as "rating.bias"."""
    return tuple(f"{name}.{each}" for name, head in HEADS.items() for each in head.item_parameters)
