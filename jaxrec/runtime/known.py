"""Known: the raw items of a model and their ids, and what is said to who asks for others.

What a caller gives may be anything, so that no type is asked of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxrec.errors import UserError

# The id of no item: of a place that is not filled, and of what the model does not know.
NO_ITEM = 0

RawItem = int | str


class KnownItems:
    """Gives the id of a raw item, i for the i-th."""

    def __init__(self, items: Sequence[RawItem]):
        self._id_of: dict[object, int] = {item: i for i, item in enumerate(items, start=1)}

    def id_of(self, item: object) -> int:
        """Give the id of an item, NO_ITEM if the model does not know it."""
        try:
            return self._id_of.get(item, NO_ITEM)
        except TypeError:  # a list in the place of an item has no hash
            return NO_ITEM

    def known_id_of(self, item: object) -> int:
        """Give the id of an item.

        Raises:
            UserError: the model does not know it.
        """
        number = self.id_of(item)
        if number == NO_ITEM:
            raise UserError(f"the item {shown(item)} is not known; {self._example()}")
        return number

    def ids_of(self, items: object, what: str = "items") -> list[int]:
        """Give the id of each item, NO_ITEM for those that the model does not know.

        Args:
            what: the items in an error, in the plural.

        Raises:
            UserError: they are no list.
        """
        return [self.id_of(item) for item in listed(items, what)]

    def some_ids_of(self, items: object, what: str = "items") -> list[int]:
        """Give the id of each item, as `ids_of` does, of items that cannot all be unknown.

        Raises:
            UserError: they are no list, or there are some and none is known. Most often the log
                has numbers, and these are text.
        """
        items = listed(items, what)
        ids = self.ids_of(items, what)
        if ids and not any(ids):
            raise UserError(f"none of the {what} is known, as {shown(items[0])}; {self._example()}")
        return ids

    def _example(self) -> str:
        return f"the model knows {len(self._id_of):,}, as {shown(next(iter(self._id_of)))}"


def listed(values: object, what: str) -> list[Any]:
    """Give values as a list; a text is one value, and no list of its letters.

    Args:
        what: the values in an error, in the plural.

    Raises:
        UserError: it is one value.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UserError(f"the {what} are {shown(values)}, not a list; give [{values!r:.60}]")
    return list(values)


def shown(value: object) -> str:
    """Write a value down with its type, if it is short."""
    return f"{value!r:.60} ({type(value).__name__})"
