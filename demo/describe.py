"""Titles, genres and years of a page's models, read from a table of items."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from demo.exports import Export
from jaxrec.data.interactions import DESCRIBES
from jaxrec.data.sources.item_table import ItemTableConfig, read_items
from jaxrec.files import as_json
from jaxrec.runtime import bundle
from jaxrec.runtime.catalogue import pack_catalogue


def describe_exports(
    exports: Sequence[Export], items: str, config: ItemTableConfig
) -> tuple[list[Export], str]:
    """Return models whose catalogues are replaced by the descriptions of a table.

    Items that are not in the table have neither title nor genres nor year.

    Args:
        exports: one or more models of the same items.
        items: the path of the table.
        config: the settings for reading the table.

    Returns:
        The models with the new catalogue, and a summary of the table to print.

    Raises:
        UserError: the table cannot be read, or describes none of the items.
    """
    known = pl.Series("item", bundle.parse_bundle(exports[0].data, exports[0].path).items)
    table, notes = read_items(items, config, known)
    catalogue = known.to_frame().join(table, on="item", how="left", maintain_order="left")
    content = pack_catalogue(catalogue.to_dict(as_series=False))
    described = [replace(each, data=_with_catalogue(each, content)) for each in exports]
    count = catalogue.filter(DESCRIBES).height
    lines = [
        f"{items}: {count:,} of {len(known):,} items described",
        *(f"  note: {note}" for note in notes),
    ]
    return described, "\n".join(lines)


def _with_catalogue(export: Export, catalogue: bytes) -> bytes:
    """Pack a model, without its signature, with another catalogue and the current format."""
    old, members = bundle.parse_bundle(export.data, export.path), bundle.read_members(export.data)
    others = {
        bundle.VOCABULARY: members[bundle.VOCABULARY],
        bundle.CATALOGUE: catalogue,
        bundle.CARD: members[bundle.CARD],
    }
    hashes = {"format": bundle.FORMAT, "members": bundle.hash_members(others)}
    return bundle.pack_bundle(old.graph, {**others, bundle.MODEL: as_json(old.model | hashes)})
