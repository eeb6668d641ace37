"""The page's search: it finds what a filter over all entries finds, in short slices."""

import numpy as np
import pytest

from jaxrec.runtime.catalogue import Catalogue
from tests.browser import site
from tests.bundles import encode_catalogue

ITEMS = 60_000
GENRES = ("Crime", "Drama", "Nature")

FIND = """async ([size, searches]) => {
  const { Catalogue } = await import('./jaxrec/catalogue.js');
  const { Search } = await import('./search.js');
  const text = await (await fetch('large.jsonl')).text();
  const items = Array.from({ length: size }, (_, index) => `raw ${index}`);
  const search = new Search(new Catalogue(items, text));
  return searches.map(([words, genre]) => {
    const found = search.find(words, genre);
    let slices = 1;
    let slice = found.next();
    for (; !slice.done; slice = found.next()) slices += 1;
    return [slice.value, slices];
  });
}"""


def entry(number: int, rng: np.random.Generator) -> dict:
    genres = [name for name in GENRES if rng.random() < 0.3]
    return {
        "title": f"Été {number:x}" if number % 3 else None,
        "genres": genres or None,
        "year": 1950 + number % 70,
    }


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    rng = np.random.default_rng(0)
    return [entry(number, rng) for number in range(ITEMS)]


def test_search_finds_entries_with_every_word_and_the_genre(browser, tmp_path, models, entries):
    searches = [("", ""), ("", "Drama"), ("ete 1a", ""), ("RAW 99", "Crime"), ("1960 nature", "")]
    with site(tmp_path / "site", models["bow"]) as server:
        (server.folder / "large.jsonl").write_bytes(encode_catalogue(entries))
        page = browser.new_page()
        page.goto(f"{server.url}models.json")
        results = page.evaluate(FIND, [ITEMS, searches])
        page.close()
    for (words, genre), (found, _) in zip(searches, results, strict=True):
        assert found == [index for index in range(ITEMS) if matches(entries, index, words, genre)]
    everything, _, first, *_ = (slices for _, slices in results)
    assert everything == 1  # no entry is read
    assert first > 1


def matches(entries: list[dict], index: int, words: str, genre: str) -> bool:
    each = entries[index]
    title = (each["title"] or f"Item raw {index}").replace("É", "E").replace("é", "e")
    text = " ".join([title, str(each["year"]), *(each["genres"] or [])]).lower()
    return (not genre or genre in (each["genres"] or [])) and all(
        word in text for word in words.lower().split()
    )


def test_the_page_parses_only_requested_blocks(browser, tmp_path, models, entries):
    """As in Python, the other blocks may hold invalid JSON."""
    head, *blocks = encode_catalogue(entries).splitlines(keepends=True)
    blocks[3] = b"no JSON\n"
    with site(tmp_path / "site", models["bow"]) as server:
        (server.folder / "large.jsonl").write_bytes(head + b"".join(blocks))
        page = browser.new_page()
        page.goto(f"{server.url}models.json")
        read = page.evaluate(
            """async (size) => {
              const { Catalogue } = await import('./jaxrec/catalogue.js');
              const text = await (await fetch('large.jsonl')).text();
              const items = Array.from({ length: size }, (_, index) => index);
              const catalogue = new Catalogue(items, text);
              const failed = (() => { try { catalogue.at(3072); } catch { return true; } })();
              return [catalogue.isComplete, catalogue.at(0), catalogue.at(size - 1), failed];
            }""",
            ITEMS,
        )
        page.close()
    catalogue = Catalogue(range(ITEMS), encode_catalogue(entries))
    assert read == [True, catalogue[0], catalogue[-1], True]
