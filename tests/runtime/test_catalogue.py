"""The catalogue of a model file: a sequence of entries that is parsed block by block."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.runtime.catalogue import Catalogue, pack_catalogue

# Titles and genres may contain characters that other formats treat as line ends.
text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\u2028\x85"))
entries = st.lists(
    st.fixed_dictionaries(
        {
            "title": st.none() | text,
            "genres": st.none() | st.lists(text, max_size=3),
            "year": st.none() | st.integers(-(10**4), 10**4),
        }
    ),
    min_size=1,
    max_size=20,
)


def columns_of(known: list[dict]) -> dict[str, list]:
    return {name: [each[name] for each in known] for name in ("title", "genres", "year")}


@given(known=entries, items=st.integers(1, 3000))
def test_every_packed_entry_is_read_back(known, items):
    """The entries are repeated so that they fill several blocks."""
    whole = (known * items)[:items]
    raw = [f"item {number}" for number in range(items)]
    catalogue = Catalogue(raw, pack_catalogue(columns_of(whole)))
    assert len(catalogue) == items
    expected = [
        {"id": number, "item": item, **each}
        for number, (item, each) in enumerate(zip(raw, whole, strict=True), start=1)
    ]
    assert catalogue[-1] == expected[-1]
    assert list(catalogue) == catalogue[:] == expected
    assert catalogue[::-7] == expected[::-7]
    with pytest.raises(IndexError):
        catalogue[items]


def test_blocks_are_columns_without_unknown_values():
    titles = [*("ab" * 512), "c"]
    bare = {"title": titles, "genres": [["Drama", "Crime"], *[None] * 1024], "year": [None] * 1025}
    head, first, second = map(json.loads, pack_catalogue(bare).splitlines())
    assert head == {"items": 1025, "block": 1024, "titled": True, "genres": ["Crime", "Drama"]}
    assert first == {"title": titles[:1024], "genres": [[1, 0], *[None] * 1023]}
    assert second == {"title": ["c"]}
    no_metadata = pack_catalogue({"title": [None], "genres": [None], "year": [None]})
    assert no_metadata == b'{"items":1,"block":1024,"titled":false,"genres":[]}\n{}\n'


def test_only_requested_blocks_are_parsed():
    """The other blocks are not parsed and may hold invalid JSON."""
    packed = pack_catalogue({"title": ["Ash"] * 3000, "genres": [None] * 3000, "year": [3] * 3000})
    head, *blocks = packed.splitlines(keepends=True)
    blocks[0] = blocks[2] = b"no JSON\n"
    catalogue = Catalogue(range(3000), head + b"".join(blocks))
    assert catalogue[1024] == {"id": 1025, "item": 1024, "title": "Ash", "genres": None, "year": 3}
    with pytest.raises(json.JSONDecodeError):
        catalogue[1023]
