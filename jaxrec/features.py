"""The schema that data, model and conversion share: what one activity of a history consists of.

The letters in names of arrays, here and everywhere:

    B  examples in a batch            D  width of an item's vector
    L  activities in a window         E  width of an activity's vector (all features together)
    N  L at evaluation and export     H  width of an encoding
    S  sampled negatives              V  items in the catalogue
    W  targets in a window            R  rows of a table, V + 1: row 0 is PAD's
    K  steps in one dispatch          C  channels of a convolution
    U  users                          n  whatever is counted here
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from jaxrec.errors import UserError
from jaxrec.files import read_json, write_json

PAD = 0
"""The id that fills a short history, of every feature; never a candidate."""

ITEM = "item"
"""The one feature that every log has: what the user acted on, and what is predicted."""


@dataclass(frozen=True)
class Feature:
    """One categorical property of an activity.

    Attributes:
        name: the key of its ids in a batch.
        size: number of values; ids run from 1 to `size`, and PAD = 0.
        width: length of its vector.
    """

    name: str
    size: int
    width: int


def save_features(features: tuple[Feature, ...], path: Path) -> None:
    """Write the schema as JSON."""
    write_json(path, [asdict(feature) for feature in features])


def load_features(path: Path) -> tuple[Feature, ...]:
    """Read a schema that `save_features` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return tuple(Feature(**entry) for entry in read_json(path))
    except TypeError as error:
        raise UserError(f"{path} is damaged ({error}); train the run again") from None
