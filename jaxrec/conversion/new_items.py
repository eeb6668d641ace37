"""New items: items added after training, embedded by their features alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import ITEM_COLUMNS
from jaxrec.data.item_features import ItemFeature
from jaxrec.data.sources.item_table import read_item_ids, read_items
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.schema import PAD


@dataclass(frozen=True, eq=False)
class NewItems:
    """Items appended to those of a run, in the order of their table.

    Attributes:
        vocabulary: the unchanged ids of the run, followed by those of the new items.
        described: `item`, `title`, `genres`, `year` of the new items, one row each.
        features: feature values of all items, old and new.
        notes: notes on the new items, to be printed.
    """

    vocabulary: Vocabulary
    described: pl.DataFrame
    features: tuple[ItemFeature, ...]
    notes: str


def read_new_items(
    path: Path, config: DataConfig, vocabulary: Vocabulary, features: tuple[ItemFeature, ...]
) -> NewItems:
    """Read the items of a table that are not in the vocabulary of a run.

    The columns have the names of the item table that the run was trained with.

    Raises:
        UserError: if the run has no item features, or the table cannot be read or has no new item.
    """
    if not features:
        raise UserError(
            f"--new-items={path} needs a run with item features; train one with --item-features"
        )
    as_in_log = {"log_column": config.log.item, "encoding": config.log.encoding}
    ids = read_item_ids(str(path), config.item_table, **as_in_log, flag="--new-items")
    old = vocabulary.values
    if old.dtype == pl.String:
        ids = ids.cast(pl.String)
    elif ids.dtype == pl.String:
        raise UserError(
            f"--new-items={path} has the item {ids[0]!r}, a string, and the items of the run are "
            f"integers, such as {old[0]}; write the ids as in the log"
        )
    new = ids.cast(old.dtype).alias("item")
    new = new.filter(~new.is_in(old.implode()))
    if new.is_empty():
        raise UserError(f"--new-items={path} has no new item: the run has all of them")
    names = [each.name for each in features]
    described, notes = read_items(str(path), config.item_table, new, **as_in_log, features=names)
    described = new.to_frame().join(described, on="item", how="left", maintain_order="left")
    extended = [each.extend(described[each.name]) for each in features]
    for feature, unknown in extended:
        if unknown:
            more = f" and {len(unknown) - 1:,} other values" if unknown[1:] else ""
            notes.append(f"unknown {feature.name}: {unknown[0]!r}{more}")
    features = tuple(feature for feature, _ in extended)
    return NewItems(
        Vocabulary(pl.concat([old, new]), np.pad(vocabulary.counts, (0, len(new)))),
        described.select(ITEM_COLUMNS),
        features,
        _format_notes(path, len(new), len(ids) - len(new), features, notes),
    )


def _format_notes(
    path: Path, new: int, known: int, features: Sequence[ItemFeature], notes: Sequence[str]
) -> str:
    """Format the counts of new and known items, and the notes on them."""
    lines = [f"{path}: {new:,} new items"]
    if known:
        lines.append(f"  in the run already, and not changed: {known:,}")
    is_bare = np.all([(each.ids[-new:] == PAD).all(axis=1) for each in features], axis=0)
    if is_bare.any():
        count = is_bare.sum()
        lines.append(
            f"  note: without known feature values, and so with equal embeddings: {count:,}"
        )
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])
