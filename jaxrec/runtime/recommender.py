"""Recommender: raw items in, raw items with titles out."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.asked import Asked, close, fill, one_each
from jaxrec.runtime.best import best_of, best_of_all, histories_at_a_time
from jaxrec.runtime.bundle import Bundle, read
from jaxrec.runtime.catalogue import Catalogue
from jaxrec.runtime.features import Features, TakenFeature, numbers_of, taken_features
from jaxrec.runtime.interpreter import ADAPTER, CANDIDATES, DeviceModel, ItemVectors, Lists
from jaxrec.runtime.kept_adapter import Adapter, activities_of
from jaxrec.runtime.known import NO_ITEM, KnownItems, RawItem, listed
from jaxrec.runtime.recommendation import Rating, Recommendation, describe


class Recommender:
    """Recommends by raw items. Histories run from the oldest to the most recent item.

    Of a history longer than N the last N items count; items that the model does not know are passed
    over, but one at least must be known; an empty history gives the popular items. Nothing is
    remembered between calls, and any number of threads may call at once.

    No list holds an item of its whole history, unless the file was made to keep what was seen, and
    none is shorter than k while items are left. Where the file's own list of `top_k` does not do,
    because k is larger or much of it is left out, every item is scored, which takes longer.

    A model that was told more in training takes `features`: by name, a value for each item of the
    history, or one of the user. They are raw: what the log had, or the seconds from each activity
    to now. What is left out, None, NaN and a value that the model was never told are unknown.

    Attributes:
        model: what the file says of itself: shapes, rules, figures (model.json).
        items: the raw items that it knows, the most popular first, [V].
        catalogue: `item`, `title`, `genres` and `year` of each, in the same order, [V].
        features: what it takes beside items.

    Example:
        recommender = jaxrec.Recommender.load("runs/shop/export/model.tflite")
        for each in recommender.recommend(["A12", "B7"], k=5):
            print(each.item, each.score)
        print(recommender.similar("A12", k=3))
    """

    def __init__(self, bundle: Bundle):
        self.model: dict[str, Any] = bundle.model
        self.items: tuple[RawItem, ...] = tuple(bundle.items)
        self.catalogue: Catalogue = bundle.catalogue
        self.features: tuple[TakenFeature, ...] = taken_features(bundle.model)
        self._device = DeviceModel(bundle.graph)
        self._ports = self._device.signatures["recommend"].inputs
        self._known = KnownItems(self.items)

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
        """How many items the file's own list holds."""
        return self._device.top_k

    @property
    def history_length(self) -> int:
        """How many items of a history the model reads, N."""
        return self._device.history_length

    def knows(self, item: RawItem) -> bool:
        """Tell whether the model knows an item."""
        return self._known.id_of(item) != NO_ITEM

    def recommend(
        self,
        items: Iterable[RawItem],
        k: int = 10,
        *,
        exclude: Iterable[RawItem] = (),
        candidates: Iterable[RawItem] | None = None,
        features: Features | None = None,
        adapter: Adapter | None = None,
    ) -> list[Recommendation]:
        """Give the k best items to come after a history, best first; ties in the order of `items`.

        Args:
            items: the history.
            k: 1 to V.
            exclude: what is left out beside the history.
            candidates: what alone is ranked; by default every item.
            adapter: what was learned of the user, as `adapt` gives it.

        Raises:
            UserError: k is out of range, nothing is known of the history or of the candidates, one
                of them is no list, or features or adapter are not those of the model.
        """
        self._require_k(k)
        asked = self._ask(items, features, exclude)
        ranked = None if candidates is None else self._known.some_ids_of(candidates, "candidates")
        return self._lists([asked], k, ranked, adapter)[0]

    def recommend_many(
        self,
        histories: Iterable[Iterable[RawItem]],
        k: int = 10,
        *,
        exclude: Iterable[Iterable[RawItem]] | None = None,
        features: Iterable[Features] | None = None,
    ) -> list[list[Recommendation]]:
        """Give for each history what `recommend` gives, as many in a call as the file takes.

        Args:
            exclude: one collection for each history.
            features: one mapping for each history, with the features of its user.

        Raises:
            UserError: as in `recommend`; the message has the number of the history, from 0.
        """
        self._require_k(k)
        histories = listed(histories, "histories")
        each_exclude = one_each("exclude", exclude, (), len(histories))
        each_features = one_each("features", features, {}, len(histories))
        asked = [
            self._ask(*each, of=f" of histories[{number}]")
            for number, each in enumerate(zip(histories, each_features, each_exclude, strict=True))
        ]
        size = histories_at_a_time(self._device, len(self.items))
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [found for part in parts for found in self._lists(part, k)]

    def adapt(self, items: Iterable[RawItem], *, weights: Iterable[float] | None = None) -> Adapter:
        """Learn of a user from a longer history, of which the last M known items count.

        The last of these are held back: what was learned from the others is kept only if it makes
        them likelier, or else the adapter changes nothing. It takes as long as several hundred
        calls of `recommend`; learn again when much has been added.

        Args:
            items: the history.
            weights: how much each of them counts, 0 or more; by default the more the later.

        Raises:
            UserError: the file was not made to learn, too little of the history is known, or the
                weights are not right.
        """
        settings = self.model.get("adapt")
        if settings is None:
            raise UserError("the model cannot learn of a user; convert its run with --adapt")
        ids = self._known.some_ids_of(items, "items")
        learned = self._device.adapt(*activities_of(ids, weights, settings))
        return Adapter(learned.adapter, self._graph, learned.before, learned.after)

    def encode(
        self,
        items: Iterable[RawItem],
        *,
        features: Features | None = None,
        adapter: Adapter | None = None,
    ) -> NDArray[np.float32]:
        """Give the context vector of a history, [D], for a retrieval of one's own.

        Raises:
            UserError: nothing is known of the history, or features or adapter are not those of the
                model.
        """
        inputs = self._fill([self._ask(items, features)]) | self._adapting(adapter)
        return self._device.encode_all(inputs)[0]

    def score(
        self,
        items: Iterable[RawItem],
        candidates: Iterable[RawItem],
        *,
        features: Features | None = None,
        adapter: Adapter | None = None,
    ) -> list[float]:
        """Give the score of each candidate after a history; an unknown one has about -1e9.

        Raises:
            UserError: as in `encode`, or the candidates are no list.
        """
        ids = self._known.ids_of(candidates, "candidates")
        inputs = self._fill([self._ask(items, features)]) | self._adapting(adapter)
        return self._device.score_all(inputs, np.array([ids], np.int32))[0].tolist()

    def rate(
        self,
        items: Iterable[RawItem],
        candidates: Iterable[RawItem],
        *,
        features: Features | None = None,
    ) -> list[Rating | None]:
        """Predict the rating of each candidate after a history; None for an unknown one.

        Raises:
            UserError: as in `score`, or the model does not predict ratings.
        """
        if "rate" not in self._device.signatures:
            raise UserError("the model predicts no ratings; train one with --rate")
        candidates = listed(candidates, "candidates")
        predictions = self.predict("rate", items, candidates, features=features)
        lowest, *others = self.model.get("ratings") or [0]
        return [
            Rating(
                item,
                each["ratings"],
                {lowest: 1.0, **dict(zip(others, each["at_least"], strict=True))},
            )
            if each is not None
            else None
            for item, each in zip(candidates, predictions, strict=True)
        ]

    def predict(
        self,
        signature: str,
        items: Iterable[RawItem],
        candidates: Iterable[RawItem],
        *,
        features: Features | None = None,
    ) -> list[dict[str, Any] | None]:
        """Predict the label of a head for each candidate after a history.

        Args:
            signature: of the head.
            items: the history.

        Returns:
            The outputs of the head by name, numbers or lists; None for an unknown candidate.

        Raises:
            UserError: as in `score`, or the model has no such head.
        """
        ports = self._device.signatures.get(signature)
        if ports is None or CANDIDATES not in ports.inputs:
            raise UserError(f"the model has no head {signature!r}; train one that has")
        ids = self._known.ids_of(candidates, "candidates")
        inputs = self._fill([self._ask(items, features)])
        found = self._device.predict_all(signature, inputs, np.array([ids], np.int32))
        rows = zip(*(each[0].tolist() for each in found.values()), strict=True)
        return [
            dict(zip(found, row, strict=True)) if number != NO_ITEM else None
            for number, row in zip(ids, rows, strict=True)
        ]

    def vectors(self) -> ItemVectors:
        """Give the vectors [V, D] and the biases [V] of all items, in the order of `items`.

        The product of a context, as `encode` gives it, with a vector is with its bias the score.

        Raises:
            UserError: the file is of before it had them.
        """
        return self._device.vectors_all(np.arange(1, len(self.items) + 1, dtype=np.int32))

    def similar(self, item: RawItem, k: int = 10) -> list[Recommendation]:
        """Give the k items whose vectors point most nearly where this one's does, best first.

        A score is the cosine of the two, -1 to 1. The item itself is left out.

        Raises:
            UserError: k is out of range, the item is not known, or as in `vectors`.
        """
        self._require_k(k)
        number = self._known.known_id_of(item)
        cosines = self._directions @ self._directions[number - 1]
        order = np.argsort(-cosines, kind="stable")
        ids = (order[order != number - 1] + 1)[:k]
        lists = Lists(ids[None].astype(np.int32), cosines[None, ids - 1])
        return describe(lists, self.catalogue)[0]

    @cached_property
    def _directions(self) -> NDArray[np.float32]:
        """The vectors, each of length one, or zero as it was, [V, D]."""
        vectors, _ = self.vectors()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        return vectors / lengths

    def _require_k(self, k: int) -> None:
        if not 1 <= k <= len(self.items):
            raise UserError(f"k={k} is out of range; give 1 to {len(self.items):,}")

    def _ask(
        self,
        items: Iterable[RawItem],
        features: Features | None,
        exclude: Iterable[RawItem] = (),
        of: str = "",
    ) -> Asked:
        """Check what a caller gives and look it up; `of` says in an error whose it is."""
        ids = self._known.some_ids_of(items, f"items{of}")
        numbers = numbers_of(self.features, features or {}, len(ids), f"items{of}")
        return Asked(ids, numbers, self._known.ids_of(exclude, f"items to exclude{of}"))

    def _adapting(self, adapter: Adapter | None) -> dict[str, np.ndarray]:
        """Give the input that an adapter is, if there is one."""
        if adapter is None:
            return {}
        (width,) = self._device.signatures["encode"].outputs["context"].shape[1:]
        adapter.require_fit(self._graph, width)
        return {ADAPTER: adapter.vector[None]}

    @property
    def _graph(self) -> str:
        """The hash by which adapters are told apart."""
        return self.model["graph"]["sha256"]

    def _fill(self, asked: Sequence[Asked]) -> dict[str, np.ndarray]:
        return fill(self._ports, self.features, asked)

    def _lists(
        self,
        asked: Sequence[Asked],
        k: int,
        candidates: Sequence[int] | None = None,
        adapter: Adapter | None = None,
    ) -> list[list[Recommendation]]:
        """Rank every item, or those with some ids, for each history."""
        inputs = self._fill(asked) | self._adapting(adapter)
        closed = close(asked, len(self.items), keep_seen=self.model["keep_seen"])
        if candidates is None:
            found = best_of_all(self._device, inputs, closed, k)
        else:
            ids = np.unique(np.array(candidates, np.int32))
            found = best_of(self._device, inputs, ids, closed, k)
        return describe(found, self.catalogue)
