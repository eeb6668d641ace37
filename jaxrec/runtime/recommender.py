"""Recommender: raw items in, raw items with titles out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.bundle import Bundle, read
from jaxrec.runtime.interpreter import HISTORY, DeviceModel

# The id of what is not known.
_UNKNOWN = 0

RawItem = int | str

Features = Mapping[str, Sequence[float]]
"""What a model takes of each activity beside its item, by name, in the order of the items."""


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
    over; an empty history gives the popular items. Nothing is remembered between calls, and any
    number of threads may call at once.

    A model that was trained on more of an activity than its item takes `features`, a value for each
    item of the history; what is left out is unknown.

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

    def recommend(
        self, items: Iterable[RawItem], k: int = 10, *, features: Features | None = None
    ) -> list[Recommendation]:
        """Give the k best items to come after a history, best first.

        Raises:
            UserError: k is not 1 to `top_k`, or the features are not those of the model.
        """
        if not 1 <= k <= self.top_k:
            raise UserError(
                f"k={k} is out of range; give 1 to {self.top_k}, or convert with a larger --top-k"
            )
        ids, scores = self._device.recommend_all(self._inputs(items, features))
        entries = [self._catalogue[number - 1] for number in ids[0, :k].tolist()]
        return [
            Recommendation(each["item"], float(score), each["title"], each["genres"], each["year"])
            for each, score in zip(entries, scores[0, :k], strict=True)
        ]

    def encode(
        self, items: Iterable[RawItem], *, features: Features | None = None
    ) -> NDArray[np.float32]:
        """Give the context vector of a history, [D], for a retrieval of one's own.

        Raises:
            UserError: the features are not those of the model.
        """
        return self._device.encode_all(self._inputs(items, features))[0]

    def score(
        self,
        items: Iterable[RawItem],
        candidates: Sequence[RawItem],
        *,
        features: Features | None = None,
    ) -> list[float]:
        """Give the score of each candidate after a history; an unknown one has about -1e9.

        Raises:
            UserError: the features are not those of the model.
        """
        if not candidates:
            return []
        ids = [self._id_of.get(item, _UNKNOWN) for item in candidates]
        inputs = self._inputs(items, features)
        return self._device.score_all(inputs, np.array([ids], np.int32))[0].tolist()

    def _inputs(self, items: Iterable[RawItem], features: Features | None) -> dict[str, np.ndarray]:
        """Give the last N activities whose item the model knows, at the right end of each input."""
        items, features = list(items), features or {}
        ports = self._device.signatures["recommend"].inputs
        for name, values in features.items():
            if name not in ports or name == HISTORY:
                known = ", ".join(name for name in ports if name != HISTORY) or "none"
                raise UserError(f"the model takes no feature {name!r}; it takes {known}")
            if len(values) != len(items):
                raise UserError(
                    f"{len(values)} values of {name!r} for {len(items)} items; give one for each"
                )
        known = [place for place, item in enumerate(items) if item in self._id_of]
        known = known[-self._device.history_length :]
        inputs = {name: np.zeros((1, port.shape[1]), port.dtype) for name, port in ports.items()}
        if known:
            inputs[HISTORY][0, -len(known) :] = [self._id_of[items[place]] for place in known]
            for name, values in features.items():
                inputs[name][0, -len(known) :] = [values[place] for place in known]
        return inputs
