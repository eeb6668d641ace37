"""The catalogue of a file: what is known of each item, in columns, read a block at a time.

In the archive it is catalogue.jsonl. Its first line says how many items there are, how many a block
holds, whether any has a title, and which genres there are; each further line is a block, in the
order of the ids. A genre is its place in the first line, and a column of which nothing is known is
left out:

    {"items": 1500, "block": 1024, "titled": true, "genres": ["Comedy", "Drama"]}
    {"title": ["Ash", null, ...], "genres": [[1], null, ...], "year": [1999, null, ...]}

So a million items take no second to open, and a list of ten reads ten blocks at most.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

from jaxrec.runtime.known import RawItem

Entry = dict[str, Any]
"""`id`, `item`, `title`, `genres` and `year` of an item; what is not known is None."""

COLUMNS = ("title", "genres", "year")

# Small enough that a block is read in well under a millisecond.
_BLOCK = 1024


class Catalogue(Sequence[Entry]):
    """The entries of all items, that of id i at i - 1, [V].

    Raises:
        ValueError: the content is of another number of items.
    """

    def __init__(self, items: Sequence[RawItem], content: bytes):
        head, *self._lines = content.splitlines()
        self._items = items
        self._head = json.loads(head)
        self._read: dict[int, Mapping[str, Sequence[Any]]] = {}
        described, blocks = self._head["items"], -(-len(items) // self._head["block"])
        if (described, len(self._lines)) != (len(items), blocks):
            raise ValueError(f"its catalogue is of {described:,} items, not {len(items):,}")

    def __len__(self) -> int:
        """Give the number of items, V."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        """Give the entry at an index, or those of a slice, as a list does."""
        if isinstance(index, slice):
            return [self._entry(each) for each in range(len(self))[index]]
        return self._entry(range(len(self))[index])

    def _entry(self, index: int) -> Entry:
        number, place = divmod(index, self._head["block"])
        # Two threads may both read a block: they read the same.
        if number not in self._read:
            self._read[number] = json.loads(self._lines[number])
        block = self._read[number]
        title, genres, year = (block[name][place] if name in block else None for name in COLUMNS)
        names = None if genres is None else [self._head["genres"][each] for each in genres]
        return {
            "id": index + 1,
            "item": self._items[index],
            "title": title,
            "genres": names,
            "year": year,
        }


def pack_catalogue(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Write `title`, `genres` and `year` of all items, [V] each, as `Catalogue` reads them."""
    names = sorted({genre for genres in columns["genres"] for genre in genres or ()})
    number_of = {name: number for number, name in enumerate(names)}
    numbered = [
        None if genres is None else [number_of[genre] for genre in genres]
        for genres in columns["genres"]
    ]
    whole = {**columns, "genres": numbered}
    titled = any(title is not None for title in columns["title"])
    items = len(numbered)
    lines: list[Mapping[str, Any]] = [
        {"items": items, "block": _BLOCK, "titled": titled, "genres": names}
    ]
    for start in range(0, items, _BLOCK):
        block = {name: whole[name][start : start + _BLOCK] for name in COLUMNS}
        lines.append(
            {name: values for name, values in block.items() if any(v is not None for v in values)}
        )
    return b"".join(_line(line) for line in lines)


def _line(value: Mapping[str, Any]) -> bytes:
    # A line break within a title is written \n: JSON has none of its own within a text.
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
