"""Runtime: what an application in Python uses, given the one .tflite file and nothing else.

    from convert.runtime import Recommender

    recommender = Recommender.load("model.tflite")
    for item in recommender.recommend([1193, 661, 914], k=5):
        print(item.item, item.title, item.score)

Needs NumPy and ai-edge-litert; neither JAX nor TensorFlow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from convert.bundle import Bundle, read
from convert.interpreter import DeviceModel
from jaxrec.errors import UserError
from jaxrec.features import PAD

RawItem = int | str


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        item: the raw item, as in the log.
        score: higher is better; comparable within one list.
        title: None where the catalogue does not know it; so are `genres` and `year`.
    """

    item: RawItem
    score: float
    title: str | None
    genres: list[str] | None
    year: int | None


class Recommender:
    """Recommends by raw items. Histories run from the oldest to the most recent item.

    Of a history longer than N the last N items count; items that the model does not know are passed
    over; an empty history gives the popular items. Nothing is remembered between calls.

    Attributes:
        model: what the file says of itself: shapes, rules, figures (model.json).
    """

    def __init__(self, bundle: Bundle):
        self.model: dict[str, Any] = bundle.model
        self._device = DeviceModel(bundle.graph)
        self._catalogue = bundle.catalogue
        self._id_of = {item: number for number, item in enumerate(bundle.items, start=1)}

    @classmethod
    def load(cls, path: str | Path) -> "Recommender":
        """Read everything from one file, after proving that it is whole.

        Raises:
            UserError: it is not ours, of another version, or damaged.
            OSError: it cannot be read.
        """
        return cls(read(Path(path)))

    @property
    def top_k(self) -> int:
        """How many items a call can give at the most."""
        return self._device.top_k

    def recommend(self, items: Iterable[RawItem], k: int = 10) -> list[Recommendation]:
        """Give the k best items to come after a history, best first.

        Raises:
            UserError: k is not 1 to `top_k`.
        """
        if not 1 <= k <= self.top_k:
            raise UserError(
                f"k={k} is out of range; give 1 to {self.top_k}, or convert with a larger --top-k"
            )
        ids, scores = self._device.recommend_all(self._history(items))
        return [
            Recommendation(
                entry["item"], float(score), entry["title"], entry["genres"], entry["year"]
            )
            for number, score in zip(ids[0, :k].tolist(), scores[0, :k], strict=True)
            for entry in [self._catalogue[number - 1]]
        ]

    def encode(self, items: Iterable[RawItem]) -> Float32[np.ndarray, " D"]:
        """Give the context vector of a history, for a retrieval of one's own."""
        return self._device.encode_all(self._history(items))[0]

    def score(self, items: Iterable[RawItem], candidates: Sequence[RawItem]) -> list[float]:
        """Give the score of each candidate after a history; an unknown one has about -1e9."""
        if not candidates:
            return []
        chosen = np.array([[self._id_of.get(item, PAD) for item in candidates]], np.int32)
        return self._device.score_all(self._history(items), chosen)[0].tolist()

    def _history(self, items: Iterable[RawItem]) -> Int32[np.ndarray, "1 N"]:
        """Give the ids of the last N items that the model knows, PAD on the left."""
        length = self._device.history_length
        ids = [self._id_of[item] for item in items if item in self._id_of][-length:]
        return np.array([[PAD] * (length - len(ids)) + ids], np.int32)
