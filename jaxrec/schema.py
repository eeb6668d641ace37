"""The schema: what an activity of a history consists of, and what is learned about it.

The letters in names of arrays, here and everywhere:

    B  examples in a batch            D  width of an item's vector
    L  activities in a window         E  width of an activity's vector (all features together)
    N  L at evaluation and export     H  width of an encoding
    S  sampled negatives              V  items in the catalogue
    W  targets in a window            R  rows of a table, V + 1: row 0 is PAD's
    K  steps in one dispatch          C  channels of a convolution
    T  items that a step touches      U  users
    n  whatever is counted here
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from jaxrec.files import read_json, reading, write_json

PAD = 0
"""The id that fills a short history, of every feature; never a candidate."""

UNKNOWN = 0
"""The id of a value that is not known, of every feature but the item."""

ITEM = "item"
"""What the user acted on, and what is predicted: every activity has one."""


AGE = "age"
"""The feature that is time: how long ago each activity was, in seconds."""

UNKNOWN_AGE = -1
"""What a file takes for an age that is not known; any number below zero is one."""

Owner = Literal["activity", "item", "user", "moment"]
Value = str | int | float


@dataclass(frozen=True)
class Feature:
    """What is known beside the item.

    A model takes ids of all kinds; `data.feature_values` tells the ids of what a file takes.

    Attributes:
        name: the key of its values in a batch, and its input of a file.
        of: what has it: each activity, the item as such, the user, or the moment of the target.
        kind: one id, several, a number that belongs to a bucket, or the age of an activity.
        size: number of values; ids run from 1 to `size`, and 0 is an unknown one.
        values: of all features but those of items, what each id stands for: id i for
            `values[i - 1]`. Of a number, the edges between buckets: id i for what is less than
            `values[i - 1]`, and not less than the edge before.
    """

    name: str
    of: Owner
    kind: Literal["id", "ids", "number", "age"]
    size: int
    values: tuple[Value, ...] = ()

    @property
    def unknown(self) -> float:
        """What a file takes for a value that is not known."""
        return {"number": math.nan, "age": UNKNOWN_AGE}.get(self.kind, UNKNOWN)


@dataclass(frozen=True)
class HeadSpec:
    """What a head predicts of any item: its label, a column of the log.

    Attributes:
        name: of the head, as in `models.heads.HEADS`, and of the column.
        weight: of its loss, beside the loss of the next item, which has the weight one.
        values: of the label, ascending; label id i is `values[i - 1]`, and 0 is a missing label.
    """

    name: str
    weight: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Schema:
    """The one place that knows the size of the catalogue, the features and the heads.

    Attributes:
        items: V.
        width: D.
        features: what is known beside the item; none is called `item`.
        heads: what is predicted beside the next item.
    """

    items: int
    width: int
    features: tuple[Feature, ...] = ()
    heads: tuple[HeadSpec, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of a table of items, R."""
        return self.items + 1

    def features_of(self, owner: Owner) -> tuple[Feature, ...]:
        """Give what is known of an activity, an item, a user or a moment."""
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
