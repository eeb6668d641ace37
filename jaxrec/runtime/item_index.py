"""The raw items of a model and their ids, and the errors for unknown items.

Callers may pass values of any type, so the arguments are of type `object`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxrec.errors import UserError

# The id of padding, and of an item that the model does not know.
NO_ITEM = 0

RawItem = int | str
RawItems = Iterable[RawItem]


class ItemIndex:
    """A mapping from raw items to ids: i for the i-th item, from 1."""

    def __init__(self, items: Sequence[RawItem]):
        self._id_of: dict[object, int] = {item: i for i, item in enumerate(items, start=1)}

    def id_of(self, item: object) -> int:
        """Return the id of an item, NO_ITEM if the model does not know it."""
        try:
            return self._id_of.get(item, NO_ITEM)
        except TypeError:  # a value without a hash, such as a list
            return NO_ITEM

    def require_id(self, item: object) -> int:
        """Return the id of an item.

        Raises:
            UserError: if the model does not know the item.
        """
        number = self.id_of(item)
        if number == NO_ITEM:
            raise UserError(f"unknown item {format_value(item)}; {self._example()}")
        return number

    def ids_of(self, items: object, what: str = "items") -> list[int]:
        """Return the id of each item, NO_ITEM for those that the model does not know.

        Args:
            what: the name of the items in messages, in the plural.

        Raises:
            UserError: if `items` is not a list.
        """
        items = as_list(items, what)
        try:
            return [self._id_of.get(item, NO_ITEM) for item in items]
        except TypeError:  # a value without a hash
            return [self.id_of(item) for item in items]

    def require_any_known(self, items: object, what: str = "items") -> list[int]:
        """Return the id of each item, as `ids_of` does, and check that not all are unknown.

        Raises:
            UserError: if `items` is not a list, or not empty and all are unknown. The usual cause
                is that the log has numbers, and the items are strings.
        """
        items = as_list(items, what)
        ids = self.ids_of(items, what)
        if ids and not any(ids):
            raise self.all_unknown(what, items[0])
        return ids

    def all_unknown(self, what: str, item: object) -> UserError:
        """Return the error for items that are all unknown.

        Args:
            what: the name of the items in the message, in the plural.
            item: one of them.
        """
        return UserError(f"all {what} are unknown, such as {format_value(item)}; {self._example()}")

    def _example(self) -> str:
        first = next(iter(self._id_of))
        return f"the model has {len(self._id_of):,} items, such as {format_value(first)}"


def as_list(values: object, what: str) -> list[Any]:
    """Return values as a list; a string is a single value, not a list of characters.

    Args:
        what: the name of the values in messages, in the plural.

    Raises:
        UserError: if `values` is a single value.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UserError(f"the {what} are {format_value(values)}, not a list; give [{values!r:.60}]")
    return list(values)


def format_value(value: object) -> str:
    """Format a value, cut to 60 characters, with its type."""
    return f"{value!r:.60} ({type(value).__name__})"
