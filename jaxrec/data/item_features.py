"""Features of items: the values that a table gives each item, as ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.errors import UserError
from jaxrec.files import read_arrays, reading, write_arrays
from jaxrec.schema import PAD, Feature


@dataclass(frozen=True)
class ItemFeature:
    """What one column says of the items.

    Attributes:
        name: of the column.
        values: the text of each id, the most frequent first; id i is `values[i - 1]`.
        ids: of the values of each item, PAD filling the row of one that has fewer; row PAD and
            those of items of which nothing is known hold nothing else, [R, M].
    """

    name: str
    values: tuple[str, ...]
    ids: Int32[np.ndarray, "R M"]

    def feature(self, width: int) -> Feature:
        """Describe it for a schema; its vectors are as wide as an item's."""
        return Feature(self.name, "item", "ids", len(self.values), width)


def item_features(catalogue: pl.DataFrame, names: Sequence[str]) -> tuple[ItemFeature, ...]:
    """Number the values of some columns of a catalogue.

    Args:
        catalogue: a row for each id, in their order.

    Raises:
        UserError: a column is not there, or tells nothing apart, or everything.
    """
    known = [name for name in catalogue.columns if name not in ("item", "title")]
    for name in names:
        if name not in known:
            raise UserError(
                f"--item-features has {name!r}, and the item table has {', '.join(known)}; give "
                "some of these"
            )
    return tuple(_number(catalogue[name]) for name in names)


def _number(column: pl.Series) -> ItemFeature:
    name, size = column.name, len(column)
    rows = pl.DataFrame({"row": range(1, size + 1), "value": column})
    if column.dtype.is_nested():
        rows = rows.explode("value")
    rows = rows.drop_nulls().with_columns(pl.col("value").cast(pl.String))
    rows = rows.unique(maintain_order=True)
    counts = rows.group_by("value").len().sort(["len", "value"], descending=[True, False])
    if counts.height < 2:
        raise UserError(f"--item-features: {name} is the same for all items; leave it out")
    if counts.height == size:
        raise UserError(
            f"--item-features: {name} is another for each of {size:,} items, as an id is; leave it "
            "out"
        )
    numbers = counts.select("value").with_row_index("id", offset=PAD + 1)
    rows = rows.join(numbers, on="value", maintain_order="left")
    places = rows.select(pl.int_range(pl.len()).over("row")).to_series().to_numpy()
    ids = np.full((size + 1, places.max() + 1), PAD, np.int32)
    ids[rows["row"].to_numpy(), places] = rows["id"].to_numpy()
    return ItemFeature(name, tuple(counts["value"]), ids)


def save_item_features(features: Sequence[ItemFeature], path: Path) -> None:
    """Write values and ids; nothing in the file can be code."""
    arrays = {}
    for each in features:
        arrays |= {f"values.{each.name}": np.array(each.values), f"ids.{each.name}": each.ids}
    write_arrays(path, arrays)


def load_item_features(path: Path, names: Sequence[str]) -> tuple[ItemFeature, ...]:
    """Read features that `save_item_features` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    arrays = read_arrays(path)
    with reading(path):
        return tuple(
            ItemFeature(name, tuple(arrays[f"values.{name}"].tolist()), arrays[f"ids.{name}"])
            for name in names
        )
