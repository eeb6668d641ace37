"""A model file in memory: its content, its items, and the life of its interpreter."""

from pathlib import Path
from typing import Any, TypeVar

from jaxrec.errors import UserError
from jaxrec.runtime.bundle import parse_bundle
from jaxrec.runtime.catalogue import Catalogue, Entry
from jaxrec.runtime.features import InputFeature, input_features
from jaxrec.runtime.interpreter import DeviceModel, ItemEmbeddings
from jaxrec.runtime.item_index import NO_ITEM, ItemIndex, RawItem
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.request import RequestBuilder

Model = TypeVar("Model", bound="LoadedModel")


class LoadedModel:
    """A model file in memory, as a context manager that frees it.

    Threads may share it, and a process may fork at any time. Pickling it copies the content of the
    file, so that it can be passed to processes that do not fork.

    Attributes:
        model: the content of model.json: shapes, rules, figures.
        items: the raw items of the model, in the order of their ids, [V].
        catalogue: `item`, `title`, `genres` and `year` of each, in the same order, [V].
        features: the features that the model takes beside items.
    """

    def __init__(self, content: bytes, name: str | Path = "the model"):
        bundle = parse_bundle(content, name)
        self.model: dict[str, Any] = bundle.model
        self.items: tuple[RawItem, ...] = tuple(bundle.items)
        self.catalogue: Catalogue = bundle.catalogue
        self.features: tuple[InputFeature, ...] = input_features(bundle.model)
        self._content: bytes | None = content
        # The interpreter ignores what follows the flatbuffer.
        self._device = DeviceModel(content)
        self._scorer = ItemScorer(self._device, len(self.items))
        self._item_index = ItemIndex(self.items)
        ports = self._device.signatures["recommend"].inputs
        self._requests = RequestBuilder(self._item_index, self.features, ports)

    @classmethod
    def load(cls: type[Model], source: str | Path | bytes) -> Model:
        """Load a recommender from one file, after verifying its integrity.

        Args:
            source: the path of the file, or its content.

        Raises:
            UserError: if the file is not a bundle, has another version, or is damaged.
            OSError: if the file cannot be read.
        """
        if isinstance(source, bytes):
            return cls(source)
        return cls(Path(source).read_bytes(), source)

    def close(self) -> None:
        """Free the memory of the model, after running calls. Later calls raise a UserError."""
        self._scorer.close()
        self._content = None

    def __enter__(self: Model) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self: Model) -> tuple[type[Model], tuple[bytes]]:
        """Pickle the content of the file, so that other processes verify it and load their own.

        Raises:
            UserError: if the recommender is closed.
        """
        if self._content is None:
            raise UserError("the model is closed; load its file again")
        return type(self), (self._content,)

    @property
    def top_k(self) -> int:
        """The number of items in the file's own list."""
        return self._device.top_k

    @property
    def history_length(self) -> int:
        """The number of items of a history that the model reads, N."""
        return self._device.history_length

    def knows(self, item: RawItem) -> bool:
        """Return whether the model knows an item."""
        return self._item_index.id_of(item) != NO_ITEM

    def describe(self, item: RawItem) -> Entry | None:
        """Return the catalogue entry of an item, None if the model does not know it."""
        number = self._item_index.id_of(item)
        return None if number == NO_ITEM else self.catalogue[number - 1]

    def vectors(self) -> ItemEmbeddings:
        """Return the embeddings [V, D] and the biases [V] of all items, in the order of `items`.

        A score is the product of a query, from `encode`, and an item embedding, plus the bias. The
        arrays are read-only, and kept until `close`: V x D x 4 bytes.

        Raises:
            UserError: if the file is older than the signature `vectors`.
        """
        return self._scorer.embeddings()
