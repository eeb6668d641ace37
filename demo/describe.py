"""Titles, genres and years of a page's models, from a table of one's own."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from demo.exports import Export
from jaxrec.config import ItemsConfig
from jaxrec.data.interactions import DESCRIBES
from jaxrec.data.sources.item_table import read_items
from jaxrec.runtime import bundle


def describe(
    exports: Sequence[Export], config: ItemsConfig, *, encoding: str | None = None
) -> tuple[list[Export], str]:
    """Put what a table says of the items into the models, in the place of what they say.

    Items that are not in the table have neither title nor genres nor year.

    Args:
        exports: one at least; they share their items.
        config: names the table.

    Returns:
        The models, the same but for their catalogue; and what the table had, for the person.

    Raises:
        UserError: the table cannot be read, or describes none of the items.
    """
    known = pl.Series("item", bundle.parse(exports[0].data, exports[0].path).items)
    table, notes = read_items(config, known, encoding=encoding)
    catalogue = known.to_frame().join(table, on="item", how="left", maintain_order="left")
    entries = catalogue.with_row_index("id", offset=1).to_dicts()
    content = json.dumps(entries, ensure_ascii=False).encode()
    own = [replace(each, data=_with_catalogue(each, content)) for each in exports]
    count = catalogue.filter(DESCRIBES).height
    lines = [
        f"{config.items}: {count:,} of {len(known):,} items described",
        *(f"  note: {note}" for note in notes),
    ]
    return own, "\n".join(lines)


def _with_catalogue(export: Export, catalogue: bytes) -> bytes:
    """Pack a model anew; its other parts are what they were, byte for byte."""
    graph = bundle.parse(export.data, export.path).graph
    with zipfile.ZipFile(io.BytesIO(export.data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return bundle.pack(graph, members | {bundle.CATALOGUE: catalogue})
