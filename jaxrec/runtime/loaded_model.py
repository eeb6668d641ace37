"""A model file in memory: its content, its items and its interpreter, which belong together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrec.errors import UserError
from jaxrec.runtime.bundle import Bundle
from jaxrec.runtime.catalogue import Catalogue
from jaxrec.runtime.features import Features, InputFeature, input_features
from jaxrec.runtime.interpreter import ADAPTER, CANDIDATES, DeviceModel
from jaxrec.runtime.item_index import ItemIndex, RawItem, RawItems
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.recommendation import Recommendation, to_predictions, to_recommendations
from jaxrec.runtime.request import Request, RequestBuilder, distinct_ids, excluded_mask
from jaxrec.runtime.top_k import rank_all, rank_candidates
from jaxrec.runtime.user_adapter import Adapter


class LoadedModel:
    """A model file in memory. A call that reads one of these sees parts of one file alone.

    Its interpreter is freed with it, or by `close`.

    Attributes:
        content: the content of the file; None after `close`.
        model: the content of model.json.
        items: the raw items, the most popular of its first training first, [V].
        catalogue: `item`, `title`, `genres` and `year` of each, in the same order, [V].
        features: the features that the model takes beside items.
        device: the interpreter.
        scorer: the scores of many items.
        item_index: the id of each item.
        requests: the builder of the inputs.
    """

    def __init__(self, content: bytes, bundle: Bundle):
        self.content: bytes | None = content
        self.model: dict[str, Any] = bundle.model
        self.items: tuple[RawItem, ...] = tuple(bundle.items)
        self.catalogue: Catalogue = bundle.catalogue
        self.features: tuple[InputFeature, ...] = input_features(bundle.model)
        # The interpreter ignores what follows the flatbuffer.
        self.device = DeviceModel(content)
        self.scorer = ItemScorer(self.device, len(self.items))
        self.item_index = ItemIndex(self.items)
        ports = self.device.signatures["recommend"].inputs
        self.requests = RequestBuilder(self.item_index, self.features, ports)

    def close(self) -> None:
        """Free the memory of the model, after running calls. Later calls raise a UserError."""
        self.scorer.close()
        self.content = None

    def inputs(
        self, requests: Sequence[Request], adapter: Adapter | None = None
    ) -> dict[str, np.ndarray]:
        """Build the inputs of the file for some requests, and for the adapter of their user.

        Raises:
            UserError: if the adapter is of another file.
        """
        inputs = self.requests.inputs(requests)
        if adapter is not None:
            (width,) = self.device.signatures["encode"].outputs["context"].shape[1:]
            adapter.require_fit(self.model["graph"]["sha256"], width)
            inputs[ADAPTER] = adapter.vector[None]
        return inputs

    def rank(
        self,
        requests: Sequence[Request],
        k: int,
        candidates: RawItems | None = None,
        adapter: Adapter | None = None,
    ) -> list[list[Recommendation]]:
        """Rank every item, or the known ones of the candidates, for each request.

        Raises:
            UserError: if all candidates are unknown, or the adapter is of another file.
        """
        inputs = self.inputs(requests, adapter)
        excluded = excluded_mask(requests, len(self.items), keep_seen=self.model["keep_seen"])
        if candidates is None:
            found = rank_all(self.scorer, inputs, excluded, k)
        else:
            known = self.item_index.require_any_known(candidates, "candidates")
            ids = distinct_ids(known, len(self.items))
            found = rank_candidates(self.scorer, inputs, ids, excluded, k)
        return to_recommendations(found, self.catalogue)

    def predict(
        self, signature: str, items: RawItems, candidates: RawItems, features: Features | None
    ) -> list[dict[str, Any] | None]:
        """Predict the outputs of a head for each candidate after a history.

        Raises:
            UserError: if the model has no such head, or the history, the candidates or the features
                are invalid.
        """
        ports = self.device.signatures.get(signature)
        if ports is None or CANDIDATES not in ports.inputs:
            raise UserError(f"the model has no head {signature!r}; train a run that has it")
        ids = self.item_index.ids_of(candidates, "candidates")
        inputs = self.inputs([self.requests.build(items, features)])
        found = self.device.predict_all(signature, inputs, np.array([ids], np.int32))
        return to_predictions(ids, found)
