"""Vocabulary: raw item <-> id, most popular first."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int, Int32

from jaxrec.errors import UserError
from jaxrec.files import read_json, reading, write_json
from jaxrec.schema import PAD


@dataclass(frozen=True)
class Vocabulary:
    """The items that a model knows. Ids run from 1 to `size`; PAD = 0 is every other item.

    Attributes:
        values: the raw item of each id, integers or strings; id i is `values[i - 1]`. Ordered by
            `counts`, so that a small id is a popular item (log-uniform sampling relies on it).
        counts: how often each id is a training target, [V + 1]; `counts[PAD]` is 0.
    """

    values: pl.Series
    counts: Int[np.ndarray, " R"]

    @property
    def size(self) -> int:
        """Number of items, V."""
        return len(self.values)

    @property
    def digest(self) -> str:
        """SHA-256 of the values in their order: two files fit each other if theirs are equal."""
        return hashlib.sha256(json.dumps(self.values.to_list()).encode()).hexdigest()

    def encode(self, items: pl.Series) -> Int32[np.ndarray, " n"]:
        """Give the id of each raw item; PAD for items that are not known."""
        ids = pl.Series(np.arange(1, self.size + 1, dtype=np.int32))
        return items.replace_strict(self.values, ids, default=PAD, return_dtype=pl.Int32).to_numpy()

    def save(self, path: Path) -> None:
        """Write values, counts and digest as JSON."""
        values, counts = self.values.to_list(), self.counts.tolist()
        write_json(path, {"digest": self.digest, "values": values, "counts": counts})


def build_vocabulary(items: pl.Series, is_training_target: np.ndarray) -> Vocabulary:
    """Order the items by how often they are a training target; ties by their raw value.

    Items that never are one stay in the catalogue, last: they can be asked for in a test.

    Args:
        items: the raw item of each interaction, without nulls.
        is_training_target: which interactions count, [n] bool.
    """
    interactions = pl.DataFrame({"item": items, "count": is_training_target})
    counted = interactions.group_by("item").agg(pl.col("count").sum().cast(pl.Int64))
    ordered = counted.sort("count", "item", descending=[True, False])
    return Vocabulary(ordered["item"], np.append(0, ordered["count"]))


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary that `Vocabulary.save` wrote.

    Raises:
        UserError: the file is missing or damaged, or its values do not have its digest.
    """
    saved = read_json(path)
    with reading(path):
        values = pl.Series("item", saved["values"])
        vocabulary = Vocabulary(values, np.array(saved["counts"], np.int64))
        digest = saved["digest"]
    if vocabulary.digest != digest or len(vocabulary.counts) != vocabulary.size + 1:
        raise UserError(f"{path} does not fit its own digest; train the run again")
    return vocabulary
