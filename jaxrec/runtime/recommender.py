"""The recommender, whose inputs and outputs are raw items."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.features import Features
from jaxrec.runtime.interpreter import ADAPTER, CANDIDATES
from jaxrec.runtime.item_index import RawItem, RawItems, as_list
from jaxrec.runtime.loaded_model import LoadedModel
from jaxrec.runtime.recommendation import (
    Rating,
    Recommendation,
    to_predictions,
    to_ratings,
    to_recommendations,
)
from jaxrec.runtime.request import Request, Unknown, distinct_ids, excluded_mask
from jaxrec.runtime.similarity import rank_similar
from jaxrec.runtime.top_k import histories_per_chunk, rank_all, rank_candidates, require_k
from jaxrec.runtime.user_adapter import Adapter, adapt_inputs


class Recommender(LoadedModel):
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

    Attributes:
        model: the content of model.json: shapes, rules, figures.
        items: the raw items of the model, in the order of their ids, [V]: the most popular of
            its first training first.
        catalogue: `item`, `title`, `genres` and `year` of each, in the same order, [V].
        features: the features that the model takes beside items.

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
        require_k(k, len(self.items))
        request = self._requests.build(items, features, exclude, unknown=unknown)
        return self._rank([request], k, candidates, adapter)[0]

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
        require_k(k, len(self.items))
        requests = self._requests.build_many(histories, features, exclude, unknown=unknown)
        size = histories_per_chunk(self._device.batch_size, len(self.items))
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        return [found for part in parts for found in self._rank(part, k)]

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
        ids = self._item_index.require_any_known(items, "items")
        learned = self._device.adapt(*adapt_inputs(ids, weights, self.model.get("adapt")))
        graph_hash = self.model["graph"]["sha256"]
        return Adapter(learned.adapter, graph_hash, learned.before, learned.after)

    def encode(
        self, items: RawItems, *, features: Features | None = None, adapter: Adapter | None = None
    ) -> NDArray[np.float32]:
        """Return the query of a history, [D], for retrieval outside the file.

        Raises:
            UserError: if the history, the features or the adapter are invalid.
        """
        inputs = self._inputs([self._requests.build(items, features)], adapter)
        return self._device.encode_all(inputs)[0]

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
        ids = self._item_index.ids_of(candidates, "candidates")
        inputs = self._inputs([self._requests.build(items, features)], adapter)
        return self._device.score_all(inputs, np.array([ids], np.int32))[0].tolist()

    def rate(
        self, items: RawItems, candidates: RawItems, *, features: Features | None = None
    ) -> list[Rating | None]:
        """Predict the rating of each candidate after a history; None for an unknown one.

        Raises:
            UserError: as in `score`, or if the model does not predict ratings.
        """
        if "rate" not in self._device.signatures:
            raise UserError("the model predicts no ratings; train a run with --predict-ratings")
        candidates = as_list(candidates, "candidates")
        predictions = self.predict("rate", items, candidates, features=features)
        return to_ratings(candidates, predictions, self.model.get("ratings") or [0])

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
        ports = self._device.signatures.get(signature)
        if ports is None or CANDIDATES not in ports.inputs:
            raise UserError(f"the model has no head {signature!r}; train a run that has it")
        ids = self._item_index.ids_of(candidates, "candidates")
        inputs = self._inputs([self._requests.build(items, features)])
        found = self._device.predict_all(signature, inputs, np.array([ids], np.int32))
        return to_predictions(ids, found)

    def similar(self, item: RawItem, k: int = 10) -> list[Recommendation]:
        """Return the k items with the highest cosine similarity to an item, best first.

        A score is the cosine of the two item embeddings, -1 to 1. The item itself is excluded.

        Raises:
            UserError: if k is out of range or the item is unknown, or as in `vectors`.
        """
        require_k(k, len(self.items))
        item_id = self._item_index.require_id(item)
        vectors, _ = self._scorer.embeddings()
        ranked = rank_similar(vectors, self._scorer.lengths(), item_id, k)
        return to_recommendations(ranked, self.catalogue)[0]

    def _inputs(
        self, requests: Sequence[Request], adapter: Adapter | None = None
    ) -> dict[str, np.ndarray]:
        """Build the inputs of the file for some requests, and for the adapter of their user."""
        inputs = self._requests.inputs(requests)
        if adapter is not None:
            (width,) = self._device.signatures["encode"].outputs["context"].shape[1:]
            adapter.require_fit(self.model["graph"]["sha256"], width)
            inputs[ADAPTER] = adapter.vector[None]
        return inputs

    def _rank(
        self,
        requests: Sequence[Request],
        k: int,
        candidates: RawItems | None = None,
        adapter: Adapter | None = None,
    ) -> list[list[Recommendation]]:
        """Rank every item, or the known ones of the candidates, for each history."""
        inputs = self._inputs(requests, adapter)
        excluded = excluded_mask(requests, len(self.items), keep_seen=self.model["keep_seen"])
        if candidates is None:
            found = rank_all(self._scorer, inputs, excluded, k)
        else:
            known = self._item_index.require_any_known(candidates, "candidates")
            ids = distinct_ids(known, len(self.items))
            found = rank_candidates(self._scorer, inputs, ids, excluded, k)
        return to_recommendations(found, self.catalogue)
