"""The recommender, whose inputs and outputs are raw items."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.features import Features
from jaxrec.runtime.item_index import RawItem, RawItems, as_list
from jaxrec.runtime.recommendation import (
    Rating,
    Recommendation,
    to_ratings,
    to_recommendations,
)
from jaxrec.runtime.request import Unknown
from jaxrec.runtime.similarity import rank_similar
from jaxrec.runtime.top_k import histories_per_chunk, require_k
from jaxrec.runtime.updatable_model import UpdatableModel
from jaxrec.runtime.user_adapter import Adapter, adapt_inputs


class Recommender(UpdatableModel):
    """A recommender on raw items. Histories run from the oldest to the most recent item.

    Only the last N known items of a history are read. Unknown items are skipped, but at least one
    must be known, unless `unknown="popular"`; an empty history results in the popular items. Calls
    leave no state behind, and any number of threads may call at once.

    A list has no item of the whole history, unless the file was exported to keep seen items, and is
    not shorter than k while items are left. Where the file's own list of `top_k` is not sufficient,
    because k is larger or many of its items are excluded, every item is scored, which takes longer.

    A model that was trained with features takes `features`: by name, a value for each item of the
    history, or a single one of the user or the moment. Values are raw: as in the log, or the
    seconds from each activity to now. Missing features, None, NaN and new values are unknown.

    `update` replaces the model by that of a newer file, while calls run: each sees one of the two.

    Example::

        recommender = jaxrec.Recommender.load("runs/shop/export/model.tflite")
        for each in recommender.recommend(["A12", "B7"], k=5):
            print(each.item, each.score)
        print(recommender.similar("A12", k=3))
    """

    def recommend(
        self,
        items: RawItems,
        k: int = 10,
        *,
        exclude: RawItems = (),
        candidates: RawItems | None = None,
        features: Features | None = None,
        adapter: Adapter | None = None,
        unknown: Unknown = "error",
    ) -> list[Recommendation]:
        """Return the top k items after a history, best first; ties in the order of `self.items`.

        Args:
            items: the history.
            k: 1 to V.
            exclude: the items to exclude in addition to the history.
            candidates: the only items to rank; by default every item.
            adapter: the adapter of the user, from `adapt`.
            unknown: the result for a history of unknown items alone: "error", or "popular" items.

        Raises:
            UserError: if k is out of range, the history or the candidates are all unknown or not a
                list, or the features or the adapter do not fit the model.
        """
        loaded = self._loaded
        require_k(k, len(loaded.items))
        request = loaded.requests.build(items, features, exclude, unknown=unknown)
        return loaded.rank([request], k, candidates, adapter)[0]

    def recommend_many(
        self,
        histories: Iterable[RawItems],
        k: int = 10,
        *,
        exclude: Iterable[RawItems] | None = None,
        features: Iterable[Features] | None = None,
        unknown: Unknown = "error",
    ) -> list[list[Recommendation]]:
        """Return for each history the list of `recommend`, in batches of the file's size.

        Args:
            exclude: one collection for each history.
            features: one mapping for each history, which includes the features of its user.
            unknown: as in `recommend`.

        Raises:
            UserError: as in `recommend`; the message has the indices of the histories, from 0.
        """
        loaded = self._loaded
        require_k(k, len(loaded.items))
        requests = loaded.requests.build_many(histories, features, exclude, unknown=unknown)
        size = histories_per_chunk(loaded.device.batch_size, len(loaded.items))
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        return [found for part in parts for found in loaded.rank(part, k)]

    def adapt(self, items: RawItems, *, weights: Iterable[float] | None = None) -> Adapter:
        """Learn an adapter for a user from the last M known items of a longer history.

        The last of these are held out: an adapter is kept only if training on the others makes
        them more likely; otherwise it has no effect. This takes as long as several hundred calls
        of `recommend`; repeat it when the history has grown considerably.

        Args:
            items: the history.
            weights: the weight of each item, 0 or more; by default later items weigh more.

        Raises:
            UserError: if the file was exported without `adapt`, too few items are known, or the
                weights are invalid.
        """
        loaded = self._loaded
        ids = loaded.item_index.require_any_known(items, "items")
        learned = loaded.device.adapt(*adapt_inputs(ids, weights, loaded.model.get("adapt")))
        graph_hash = loaded.model["graph"]["sha256"]
        return Adapter(learned.adapter, graph_hash, learned.before, learned.after)

    def encode(
        self, items: RawItems, *, features: Features | None = None, adapter: Adapter | None = None
    ) -> NDArray[np.float32]:
        """Return the query of a history, [D], for retrieval outside the file.

        Raises:
            UserError: if the history, the features or the adapter are invalid.
        """
        loaded = self._loaded
        inputs = loaded.inputs([loaded.requests.build(items, features)], adapter)
        return loaded.device.encode_all(inputs)[0]

    def score(
        self,
        items: RawItems,
        candidates: RawItems,
        *,
        features: Features | None = None,
        adapter: Adapter | None = None,
    ) -> list[float]:
        """Return the score of each candidate after a history; an unknown one has about -1e9.

        Raises:
            UserError: as in `encode`, or if the candidates are not a list.
        """
        loaded = self._loaded
        ids = loaded.item_index.ids_of(candidates, "candidates")
        inputs = loaded.inputs([loaded.requests.build(items, features)], adapter)
        return loaded.device.score_all(inputs, np.array([ids], np.int32))[0].tolist()

    def rate(
        self, items: RawItems, candidates: RawItems, *, features: Features | None = None
    ) -> list[Rating | None]:
        """Predict the rating of each candidate after a history; None for an unknown one.

        Raises:
            UserError: as in `score`, or if the model does not predict ratings.
        """
        loaded = self._loaded
        if "rate" not in loaded.device.signatures:
            raise UserError("the model predicts no ratings; train a run with --predict-ratings")
        candidates = as_list(candidates, "candidates")
        predictions = loaded.predict("rate", items, candidates, features)
        return to_ratings(candidates, predictions, loaded.model.get("ratings") or [0])

    def predict(
        self,
        signature: str,
        items: RawItems,
        candidates: RawItems,
        *,
        features: Features | None = None,
    ) -> list[dict[str, Any] | None]:
        """Predict the outputs of a head for each candidate after a history.

        Args:
            signature: the signature of the head.

        Returns:
            The outputs of the head by name, numbers or lists; None for an unknown candidate.

        Raises:
            UserError: as in `score`, or if the model has no such head.
        """
        return self._loaded.predict(signature, items, candidates, features)

    def similar(self, item: RawItem, k: int = 10) -> list[Recommendation]:
        """Return the k items with the highest cosine similarity to an item, best first.

        A score is the cosine of the two item embeddings, -1 to 1. The item itself is excluded.

        Raises:
            UserError: if k is out of range or the item is unknown, or as in `vectors`.
        """
        loaded = self._loaded
        require_k(k, len(loaded.items))
        item_id = loaded.item_index.require_id(item)
        vectors, _ = loaded.scorer.embeddings()
        ranked = rank_similar(vectors, loaded.scorer.lengths(), item_id, k)
        return to_recommendations(ranked, loaded.catalogue)[0]
