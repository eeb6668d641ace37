"""Lists for the users of a log, computed on all cores."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np

from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.data.timelines import gather
from jaxrec.runtime.block_ranking import HISTORIES, ExcludedPairs, rank_block, read_item_matrix
from jaxrec.runtime.bundle import Bundle
from jaxrec.runtime.features import InputFeature, input_features
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, RankedItems
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.request import unknown_inputs

# Histories on which the products are compared with the file.
_COMPARED = 32


class UserLists:
    """Lists of a file for any users of a log, by a thread for each core.

    Each thread has an interpreter of its own; all share the embeddings of the items. Call `close`
    at the end.

    Attributes:
        top_k: the number of items in the file's own list.
        is_fast: whether products of matrices compute the scores; otherwise the file does, which
            takes longer.
    """

    def __init__(self, bundle: Bundle, seen: ExcludedItems, k: int):
        """Load the file, and read its item embeddings.

        Args:
            seen: the ids of each user's items, oldest first.
            k: length of the lists.
        """
        self._seen, self._k = seen, k
        self._keep_seen: bool = bundle.model["keep_seen"]
        self._taken: Sequence[InputFeature] = input_features(bundle.model)
        threads = _available_cores()
        with suppress_output():
            devices = [DeviceModel(bundle.graph) for _ in range(threads)]
        first = ItemScorer(devices[0], len(bundle.items))
        rng = np.random.default_rng(0)
        inputs = self._empty_histories(devices[0], _COMPARED)
        inputs[HISTORY] = rng.integers(
            1, first.size, inputs[HISTORY].shape, np.int32, endpoint=True
        )
        self._matrix = read_item_matrix(first, inputs)
        self.top_k = devices[0].top_k
        self.is_fast = self._matrix is not None and k <= self.top_k
        embeddings = first.embeddings() if "vectors" in devices[0].signatures else None
        self._scorers: SimpleQueue[ItemScorer] = SimpleQueue()
        for device in devices:
            self._scorers.put(ItemScorer(device, first.size, embeddings))
        self._threads = ThreadPoolExecutor(threads)

    def of_users(self, start: int, end: int) -> Iterator[RankedItems]:
        """Yield the lists of users `start` to `end - 1`, in order and in blocks."""
        return self._threads.map(
            self._rank, [range(at, min(at + HISTORIES, end)) for at in range(start, end, HISTORIES)]
        )

    def close(self) -> None:
        """Drop the blocks that have not begun, and wait for the others."""
        self._threads.shutdown(cancel_futures=True)

    def _rank(self, block: range) -> RankedItems:
        users = np.asarray(block)
        scorer = self._scorers.get()
        try:
            histories = self._empty_histories(scorer.device, len(users))
            starts, ends = self._seen.offsets[users], self._seen.offsets[users + 1]
            length = scorer.device.history_length
            histories[HISTORY] = gather(self._seen.ids, starts, ends, length)
            seen = self._seen.gather(users[:0] if self._keep_seen else users)
            excluded = ExcludedPairs(seen.rows, seen.ids)
            return rank_block(scorer, self._matrix, histories, excluded, self._k)
        finally:
            self._scorers.put(scorer)

    def _empty_histories(self, device: DeviceModel, count: int) -> dict[str, np.ndarray]:
        return unknown_inputs(device.signatures["recommend"].inputs, self._taken, count)


def _available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
