"""Heads: what is predicted beside the next item. A file each, and all by name in HEADS.

To add one, write a class in a file of its own here and a line in HEADS, and let
`DataConfig.requested_heads` ask for it.
"""

from jaxrec.models.heads.head import Head
from jaxrec.models.heads.rating import RatingHead

HEADS: dict[str, type[Head]] = {"rating": RatingHead}


def item_parameters() -> tuple[str, ...]:
    """Return the names of all parameters of heads that have one row per item: "rating.bias"."""
    return tuple(f"{name}.{each}" for name, head in HEADS.items() for each in head.item_parameters)
