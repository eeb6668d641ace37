"""Vocabulary: mapping between raw items and ids, most popular first in a first training."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Int, Int32

from jaxrec.errors import UserError
from jaxrec.files import read_json, reading, write_json
from jaxrec.schema import PAD

_NO_ITEMS = pl.Series("item", [], dtype=pl.Int64)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The items of a model. Ids run from 1 to `size`; PAD = 0 stands for every other item.

    Attributes:
        values: the raw item of each id, integers or strings; id i is `values[i - 1]`. The most
            popular first, unless the run continues an earlier one, whose ids it keeps.
        counts: number of training targets of each id, [V + 1]; `counts[PAD]` is 0.
    """

    values: pl.Series
    counts: Int[np.ndarray, " R"]

    @property
    def size(self) -> int:
        """Number of items, V."""
        return len(self.values)

    @property
    def digest(self) -> str:
        """SHA-256 of the values in order; files of equal digests are compatible."""
        return hashlib.sha256(json.dumps(self.values.to_list()).encode()).hexdigest()

    def equals(self, other: "Vocabulary") -> bool:
        """Return whether two vocabularies have the same items, ids and counts."""
        return self.digest == other.digest and np.array_equal(self.counts, other.counts)

    def encode(self, items: pl.Series) -> Int32[np.ndarray, " n"]:
        """Return the id of each raw item; PAD for unknown items."""
        return index_items(items, self.values)

    def save(self, path: Path) -> None:
        """Write values, counts and digest as JSON."""
        values, counts = self.values.to_list(), self.counts.tolist()
        saved = {"digest": self.digest, "values": values, "counts": counts}
        write_json(path, saved, indent=None)


def index_items(items: pl.Series, values: pl.Series) -> Int32[np.ndarray, " n"]:
    """Return the index of each item in `values`, from 1; PAD for items that are not in it."""
    numbers = pl.Series(np.arange(1, len(values) + 1, dtype=np.int32))
    return items.replace_strict(values, numbers, default=PAD, return_dtype=pl.Int32).to_numpy()


def build_vocabulary(
    values: pl.Series,
    items: Int32[np.ndarray, " n"],
    is_training_target: Bool[np.ndarray, " n"],
    known: pl.Series = _NO_ITEMS,
) -> tuple[Vocabulary, Int[np.ndarray, " V"]]:
    """Sort items by how often they are a training target; ties keep the order of `values`.

    Items that are never a training target stay in the catalogue, last: they may be test targets.

    Args:
        values: raw items, [V].
        items: the item of each activity, as an index in `values` from 1.
        is_training_target: mask of the activities to count.
        known: raw items that stand before all others, in this order, however often they are a
            target.

    Returns:
        The vocabulary, and the index in `values` of each of its items, from 0.
    """
    counts = np.bincount(items[is_training_target], minlength=len(values) + 1)[1:]
    order = np.zeros(len(values), np.int64)
    if len(known):
        order = index_items(values, known).astype(np.int64)
        order[order == PAD] = len(known) + 1
    places = np.lexsort((-counts, order))
    return Vocabulary(values.gather(places), np.append(0, counts[places])), places


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary that `Vocabulary.save` wrote.

    Raises:
        UserError: the file is missing or damaged, or its digest does not match its values.
    """
    saved = read_json(path)
    with reading(path):
        values = pl.Series("item", saved["values"])
        vocabulary = Vocabulary(values, np.array(saved["counts"], np.int64))
        digest = saved["digest"]
    if vocabulary.digest != digest or len(vocabulary.counts) != vocabulary.size + 1:
        raise UserError(f"{path} does not match its own digest; train the run again")
    return vocabulary
