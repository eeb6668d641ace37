"""Scores of many items at once, from item embeddings that are read from the file once."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.fork_lock import ForkLock
from jaxrec.runtime.interpreter import DeviceModel, Inputs, ItemEmbeddings
from jaxrec.runtime.similarity import to_unit_vectors

# Below this share of the catalogue, items are scored by the signature `score`: reading all
# embeddings would take as long as 1 / _MIN_SHARE such calls, and V x D x 4 bytes of memory.
_MIN_SHARE = 0.1


class ItemScorer:
    """Scores of any number of items.

    The signature `score` takes M items per call. With many items, the product of a query and their
    embeddings takes a small part of the time. The embeddings of the catalogue are read when they
    are first used, and kept: V x D x 4 bytes.

    Attributes:
        device: the model file.
        size: the number of items, V.
    """

    def __init__(self, device: DeviceModel, size: int):
        self.device = device
        self.size = size
        self._lock = ForkLock()
        self._embeddings: ItemEmbeddings | None = None
        self._unit_vectors: NDArray[np.float32] | None = None

    def score(self, histories: Inputs, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the scores of the same items after each history, [n, m].

        Args:
            items: ids from 1, ascending, each once, [m].
        """
        count = len(next(iter(histories.values())))
        if not self._reads_embeddings(len(items)):
            return self.device.score_all(histories, np.tile(items, (count, 1)))
        vectors, biases = self.embeddings()
        if len(items) < self.size:
            vectors, biases = vectors[items - 1], biases[items - 1]
        # A matrix product would round equal rows differently, and break ties at random. Here a
        # score depends on its query and its item alone.
        return np.vecdot(vectors, self.device.encode_all(histories)[:, None]) + biases

    def embeddings(self) -> ItemEmbeddings:
        """Return the embeddings and biases of all items, [V, D] and [V].

        Raises:
            UserError: if the file is older than the signature `vectors`.
        """
        with self._lock:
            if self._embeddings is None:
                everything = np.arange(1, self.size + 1, dtype=np.int32)
                self._embeddings = self.device.vectors_all(everything)
            return self._embeddings

    def unit_vectors(self) -> NDArray[np.float32]:
        """Return the embeddings of all items, scaled to length one, [V, D].

        Raises:
            UserError: as in `embeddings`.
        """
        vectors, _ = self.embeddings()
        with self._lock:
            if self._unit_vectors is None:
                self._unit_vectors = to_unit_vectors(vectors)
            return self._unit_vectors

    def close(self) -> None:
        """Free the memory of the embeddings and of the model file."""
        with self._lock:
            self._embeddings = self._unit_vectors = None
        self.device.close()

    def _reads_embeddings(self, count: int) -> bool:
        """Return whether some items are scored by their embeddings."""
        is_large = count > max(self.device.candidates, _MIN_SHARE * self.size)
        return is_large and "vectors" in self.device.signatures
