"""The catalogue of a file: the title, genres and year of each item, in blocks of columns.

In the archive it is catalogue.jsonl. The first line has the number of items, the number of items in
a block, whether any item has a title, and the names of the genres. Each further line is a block, in
the order of the ids. A genre is an index into the names of the first line, and a column without any
value is left out:

    {"items": 1500, "block": 1024, "titled": true, "genres": ["Comedy", "Drama"]}
    {"title": ["Ash", null, ...], "genres": [[1], null, ...], "year": [1999, null, ...]}

So a million items open in less than a second, and a list of ten reads at most ten blocks.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

from jaxrec.runtime.item_index import RawItem

Entry = dict[str, Any]
"""`id`, `item`, `title`, `genres` and `year` of an item; unknown values are None."""

COLUMNS = ("title", "genres", "year")

# Items in a block: few enough to parse it in well under a millisecond.
_BLOCK = 1024


class Catalogue(Sequence[Entry]):
    """The entries of all items, that of id i at i - 1, [V].

    Raises:
        ValueError: if the content is for another number of items.
    """

    def __init__(self, items: Sequence[RawItem], content: bytes):
        head, *self._lines = content.splitlines()
        self._items = items
        self._head = json.loads(head)
        self._parsed_blocks: dict[int, Mapping[str, Sequence[Any]]] = {}
        described, blocks = self._head["items"], -(-len(items) // self._head["block"])
        if (described, len(self._lines)) != (len(items), blocks):
            raise ValueError(f"its catalogue has {described:,} items, not {len(items):,}")

    def __len__(self) -> int:
        """Return the number of items, V."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        """Return the entry at an index, or the list of entries of a slice."""
        if isinstance(index, slice):
            return [self._entry(each) for each in range(len(self))[index]]
        return self._entry(range(len(self))[index])

    def _entry(self, index: int) -> Entry:
        number, offset = divmod(index, self._head["block"])
        # No lock is needed: two threads that parse the same block store equal values.
        if number not in self._parsed_blocks:
            self._parsed_blocks[number] = json.loads(self._lines[number])
        block = self._parsed_blocks[number]
        title, genres, year = (block[name][offset] if name in block else None for name in COLUMNS)
        names = None if genres is None else [self._head["genres"][each] for each in genres]
        return {
            "id": index + 1,
            "item": self._items[index],
            "title": title,
            "genres": names,
            "year": year,
        }


def pack_catalogue(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Encode `title`, `genres` and `year` of all items, [V] each, as `Catalogue` reads them."""
    names = sorted({genre for genres in columns["genres"] for genre in genres or ()})
    number_of = {name: number for number, name in enumerate(names)}
    numbered = [
        None if genres is None else [number_of[genre] for genre in genres]
        for genres in columns["genres"]
    ]
    numbered_columns = {**columns, "genres": numbered}
    titled = any(title is not None for title in columns["title"])
    items = len(numbered)
    lines: list[Mapping[str, Any]] = [
        {"items": items, "block": _BLOCK, "titled": titled, "genres": names}
    ]
    for start in range(0, items, _BLOCK):
        block = {name: numbered_columns[name][start : start + _BLOCK] for name in COLUMNS}
        lines.append(
            {name: values for name, values in block.items() if any(v is not None for v in values)}
        )
    return b"".join(_encode_line(line) for line in lines)


def _encode_line(value: Mapping[str, Any]) -> bytes:
    # JSON escapes a line break within a string as \n, so a value is always a single line.
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
