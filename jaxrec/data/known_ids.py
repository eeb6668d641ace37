"""Known ids: what an earlier run numbered, which a later run on a newer log numbers alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from jaxtyping import Int, Int32

from jaxrec.data.item_features import ItemFeature
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.schema import PAD, Feature, HeadSpec


@dataclass(frozen=True, eq=False)
class KnownIds:
    """The ids of an earlier run. A later one has the same, and its new ids stand behind them.

    Attributes:
        source: the flag that names the run, for messages; empty: there is none.
        vocabulary: its items.
        catalogue: `item` (raw), `title`, `genres` and `year` of each id.
        item_features: its item features, by name.
        features: its features of activities, users and moments, by name.
        heads: its heads, by name.
        forgets_items: whether items without any activity in the log lose their ids.
    """

    source: str
    vocabulary: Vocabulary
    catalogue: pl.DataFrame
    item_features: Mapping[str, ItemFeature] = field(default_factory=dict)
    features: Mapping[str, Feature] = field(default_factory=dict)
    heads: Mapping[str, HeadSpec] = field(default_factory=dict)
    forgets_items: bool = False

    def require_type_of(self, items: pl.Series) -> None:
        """Raise unless the known raw items have the type of a log's.

        Raises:
            UserError: they have another type.
        """
        known = self.vocabulary.values
        if items.dtype.is_integer() != known.dtype.is_integer():
            raise UserError(
                f"{self.source} has {_kind(known)} as items, such as {known[0]!r:.40}, and the log "
                f"has {_kind(items)}, such as {items[0]!r:.40}; write them alike, or omit "
                f"{self.source.split('=')[0]}"
            )

    def add_items(self, catalogue: pl.DataFrame) -> pl.DataFrame:
        """Return the catalogue of a log, followed by the items that have left the log.

        Raises:
            UserError: as `require_type_of`.
        """
        if not self.source:
            return catalogue
        self.require_type_of(catalogue["item"])
        if self.forgets_items:
            return catalogue
        described = self.catalogue.with_columns(pl.col("item").cast(catalogue["item"].dtype))
        left = described.join(catalogue, on="item", how="anti", maintain_order="left")
        return pl.concat([catalogue, left], how="diagonal")

    def describe(self, vocabulary: Vocabulary, items: Int32[np.ndarray, " n"]) -> list[str]:
        """Return a line on the items by which a log differs; none if nothing is known.

        Args:
            vocabulary: of the log.
            items: the id of each activity's item.
        """
        if not self.source:
            return []
        known, size = self.vocabulary.size, vocabulary.size
        added = int((self.vocabulary.encode(vocabulary.values) == PAD).sum())
        left = int((np.bincount(items, minlength=size + 1)[1:] == 0).sum())
        forgotten = known + added - size
        have_left = f"of its {known:,} have left the log and"
        parts = {
            f"{added:,} items are new": added,
            f"{left:,} {have_left} stay (--forget-items drops them)": left,
            f"{forgotten:,} {have_left} are dropped": forgotten,
        }
        found = ", ".join(part for part, count in parts.items() if count)
        return [f"{self.source}: {found or 'the same items'}"]

    def describe_items(
        self, features: Sequence[ItemFeature], items: pl.Series, left: Int[np.ndarray, " n"]
    ) -> tuple[ItemFeature, ...]:
        """Return item features in which items that have left the log have their known values.

        Args:
            features: their first values are the known ones.
            items: the raw item of each id.
            left: the ids of the items that have left.
        """
        if not len(left):
            return tuple(features)
        old_ids = self.vocabulary.encode(items.gather(left - 1))
        return tuple(
            _with_rows(each, left, self.item_features[each.name].ids[old_ids]) for each in features
        )


NOTHING_KNOWN = KnownIds(
    "", Vocabulary(pl.Series("item", [], dtype=pl.Int64), np.zeros(1, np.int64)), pl.DataFrame()
)


def _with_rows(
    feature: ItemFeature, rows: Int[np.ndarray, " n"], value_ids: Int[np.ndarray, "n M"]
) -> ItemFeature:
    width = max(feature.ids.shape[1], value_ids.shape[1])
    ids = np.pad(feature.ids, ((0, 0), (0, width - feature.ids.shape[1])))
    ids[rows] = np.pad(value_ids, ((0, 0), (0, width - value_ids.shape[1])))
    return replace(feature, ids=ids)


def _kind(items: pl.Series) -> str:
    return "whole numbers" if items.dtype.is_integer() else "text"
