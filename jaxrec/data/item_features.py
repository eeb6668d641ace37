"""Features of items: values of the columns of an item table, encoded as ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl
from jaxtyping import Int32

from jaxrec.errors import UserError
from jaxrec.files import read_arrays, reading, write_arrays
from jaxrec.schema import PAD, Feature


@dataclass(frozen=True, eq=False)
class ItemFeature:
    """The values of one column, which may have several per item.

    Attributes:
        name: of the column.
        values: the text of each id; id i is `values[i - 1]`. The most frequent first, after those
            that an earlier run has numbered.
        ids: ids of the values of each item, padded with PAD, [R, M]; row PAD and the rows of items
            without values contain PAD alone.
    """

    name: str
    values: tuple[str, ...]
    ids: Int32[np.ndarray, "R M"]

    @property
    def feature(self) -> Feature:
        """Description of the feature for a schema."""
        return Feature(self.name, "item", "ids", len(self.values))

    def extend(self, column: pl.Series) -> tuple["ItemFeature", list[str]]:
        """Append items, given their values of the column.

        Returns:
            The feature with the appended rows, and the values of these that it has no id for.
        """
        rows = _values_of(column)
        added = _ids_of(rows, self.values, len(column))
        width = max(self.ids.shape[1], added.shape[1])
        padded = [np.pad(ids, ((0, 0), (0, width - ids.shape[1]))) for ids in (self.ids, added)]
        unknown = rows["value"].unique(maintain_order=True)
        unknown = unknown.filter(~unknown.is_in(list(self.values))).to_list()
        return replace(self, ids=np.concatenate(padded)), unknown


def ids_by_name(features: Sequence[ItemFeature]) -> dict[str, Int32[np.ndarray, "R _"]]:
    """Return the ids of each item's values by feature name, as a model takes them."""
    return {each.name: each.ids for each in features}


def item_features(
    catalogue: pl.DataFrame,
    names: Sequence[str],
    earlier: Mapping[str, ItemFeature] = MappingProxyType({}),
) -> tuple[ItemFeature, ...]:
    """Encode columns of a catalogue as ids.

    Args:
        catalogue: one row per item, in the order of the ids.
        names: of the columns.
        earlier: the features of an earlier run by name, whose values keep their ids.

    Raises:
        UserError: a column is missing or constant, or different for each item as an id is.
    """
    known = [name for name in catalogue.columns if name not in ("item", "title")]
    for name in names:
        if name not in known:
            raise UserError(
                f"--item-features: unknown column {name!r}; available: {', '.join(known)}"
            )
    return tuple(
        _encode(catalogue[name], earlier[name].values if name in earlier else ()) for name in names
    )


def _encode(column: pl.Series, known: tuple[str, ...]) -> ItemFeature:
    name, size = column.name, len(column)
    rows = _values_of(column)
    counts = rows.group_by("value").len().sort(["len", "value"], descending=[True, False])
    if counts.height < 2 and not known:
        raise UserError(f"--item-features: {name} is the same for all items; omit it")
    if counts.height == size and not known:
        raise UserError(
            f"--item-features: {name} is different for each of {size:,} items, as an id is; omit it"
        )
    values = (*known, *counts["value"].filter(~counts["value"].is_in(list(known))))
    return ItemFeature(name, values, np.pad(_ids_of(rows, values, size), ((1, 0), (0, 0))))


def _values_of(column: pl.Series) -> pl.DataFrame:
    """Return the distinct pairs of a `row`, from 0, and a `value` that it has, as text."""
    rows = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "value": column})
    if column.dtype.is_nested():
        rows = rows.explode("value")
    rows = rows.drop_nulls().with_columns(pl.col("value").cast(pl.String))
    return rows.unique(maintain_order=True)


def _ids_of(rows: pl.DataFrame, values: Sequence[str], size: int) -> Int32[np.ndarray, "n M"]:
    """Return the ids of the values of each row, padded with PAD; unknown values are skipped."""
    numbers = pl.DataFrame({"value": values}).with_row_index("id", offset=PAD + 1)
    known = rows.join(numbers, on="value", maintain_order="left")
    places = known.select(pl.int_range(pl.len()).over("row")).to_series().to_numpy()
    ids = np.full((size, int(places.max(initial=0)) + 1), PAD, np.int32)
    ids[known["row"].to_numpy(), places] = known["id"].to_numpy()
    return ids


def save_item_features(features: Sequence[ItemFeature], path: Path) -> None:
    """Write values and ids as plain arrays, without pickled objects."""
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
