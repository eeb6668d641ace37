"""The schema: features of activities, items, users and moments, and the heads of a model.

Letters in the names of arrays, in all files:

    B  examples in a batch            D  width of an item embedding
    L  activities in a window         E  width of an activity embedding (all features together)
    N  L at evaluation and export     H  width of an encoding
    S  sampled negatives              V  items in the catalogue
    W  targets in a window            R  rows of a table, V + 1: row 0 is PAD's
    K  steps in one dispatch          C  channels of a convolution
    T  items that a step touches      U  users
    n  any other number
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from jaxrec.files import read_json, reading, write_json

PAD = 0
"""The padding id of short histories, for every feature; never a candidate."""

UNKNOWN = 0
"""The id of an unknown value, for every feature except the item."""

ITEM = "item"
"""The feature that a user acts on and a model predicts; every activity has one."""


AGE = "age"
"""The time feature: the age of each activity, in seconds."""

UNKNOWN_AGE = -1
"""The input of a file for an unknown age, as is any other number below zero."""

Owner = Literal["activity", "item", "user", "moment"]
Value = str | int | float


@dataclass(frozen=True)
class Feature:
    """A feature beside the item.

    A model takes ids for all kinds; `data.feature_values` converts the inputs of a file to ids.

    Attributes:
        name: the key of its values in a batch, and the name of its input in a file.
        of: its owner: each activity, the item itself, the user, or the moment of the target.
        kind: one id, several ids, a number that is put into a bucket, or the age of an activity.
        size: number of values; ids run from 1 to `size`, and 0 is unknown.
        values: for all features except those of items, the value of each id: id i is
            `values[i - 1]`. For a number, the edges between buckets: id i is a number less than
            `values[i - 1]`, and not less than the edge before.
    """

    name: str
    of: Owner
    kind: Literal["id", "ids", "number", "age"]
    size: int
    values: tuple[Value, ...] = ()

    @property
    def unknown(self) -> float:
        """The input of a file for an unknown value."""
        return {"number": math.nan, "age": UNKNOWN_AGE}.get(self.kind, UNKNOWN)


@dataclass(frozen=True)
class HeadSpec:
    """The label that a head predicts for any item, which is a column of the log.

    Attributes:
        name: of the head, as in `models.heads.HEADS`, and of the column.
        weight: of its loss; the loss of the next item has the weight one.
        values: of the label, ascending; label id i is `values[i - 1]`, and 0 is a missing label.
    """

    name: str
    weight: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Schema:
    """The single definition of the size of the catalogue, the features and the heads.

    Attributes:
        items: number of items, V.
        width: of an item embedding, D.
        features: features beside the item; none is called `item`.
        heads: labels that are predicted beside the next item.
    """

    items: int
    width: int
    features: tuple[Feature, ...] = ()
    heads: tuple[HeadSpec, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows of an item table, R."""
        return self.items + 1

    @property
    def input_features(self) -> tuple[Feature, ...]:
        """The features of activities, users and moments."""
        return tuple(each for each in self.features if each.of != "item")

    def features_of(self, owner: Owner) -> tuple[Feature, ...]:
        """Return the features of activities, items, users or moments."""
        return tuple(each for each in self.features if each.of == owner)

    def save(self, path: Path) -> None:
        """Write the schema as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Schema":
        """Read a schema that `save` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        saved = read_json(path)
        with reading(path):
            features = tuple(
                Feature(**{**each, "values": tuple(each.get("values", ()))})
                for each in saved["features"]
            )
            heads = tuple(
                HeadSpec(**{**each, "values": tuple(each["values"])}) for each in saved["heads"]
            )
            return cls(saved["items"], saved["width"], features, heads)
