"""Scores of many items at once, from item embeddings that are read from the file once."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.fork_lock import ForkLock
from jaxrec.runtime.interpreter import DeviceModel, Inputs, ItemEmbeddings
from jaxrec.runtime.similarity import vector_lengths

# A smaller share of the catalogue is scored by the signature `score`: reading all embeddings would
# take longer than many such calls, and V x D x 4 bytes of memory.
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

    def __init__(self, device: DeviceModel, size: int, embeddings: ItemEmbeddings | None = None):
        """Create a scorer of all items of a file.

        Args:
            embeddings: those of another scorer of the same file; None: they are read if needed.
        """
        self.device = device
        self.size = size
        self._lock = ForkLock()
        self._embeddings = embeddings
        self._lengths: NDArray[np.float32] | None = None

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
        """Return the embeddings and biases of all items, [V, D] and [V], which are read-only.

        Raises:
            UserError: if the file is older than the signature `vectors`.
        """
        with self._lock:
            if self._embeddings is None:
                everything = np.arange(1, self.size + 1, dtype=np.int32)
                found = self.device.vectors_all(everything)
                for array in found:
                    array.setflags(write=False)
                self._embeddings = found
            return self._embeddings

    def lengths(self) -> NDArray[np.float32]:
        """Return the lengths of the embeddings of all items, [V]; 1 for a zero embedding.

        Raises:
            UserError: as in `embeddings`.
        """
        vectors, _ = self.embeddings()
        if self._lengths is None:  # needs no lock: two threads compute equal values
            self._lengths = vector_lengths(vectors)
        return self._lengths

    def close(self) -> None:
        """Free the memory of the model file and of the embeddings."""
        self.device.close()  # first, so that no thread reads the embeddings again
        with self._lock:
            self._embeddings = self._lengths = None

    def _reads_embeddings(self, count: int) -> bool:
        """Return whether some items are scored by their embeddings."""
        is_large = count > max(self.device.candidates, _MIN_SHARE * self.size)
        return is_large and "vectors" in self.device.signatures
