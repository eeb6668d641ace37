"""Heads: what is predicted beside the next item. A file each, and all by name in HEADS.

To add one, write a class in a file of its own here and a line in HEADS, and let
`DataConfig.heads` ask for it.
"""

from jaxrec.errors import UserError
from jaxrec.models.heads.head import Head
from jaxrec.models.heads.rating import RatingHead

HEADS: dict[str, type[Head]] = {"rating": RatingHead}


def head_class(name: str) -> type[Head]:
    """Return the class of a head.

    Raises:
        UserError: there is none of this name.
    """
    if name not in HEADS:
        raise UserError(f"the head {name!r} is unknown; there is {', '.join(HEADS)}")
    return HEADS[name]


def item_parameters() -> tuple[str, ...]:
    """Return the names of all parameters of heads that have one row per item: "rating.bias"."""
    return tuple(f"{name}.{each}" for name, head in HEADS.items() for each in head.item_parameters)
