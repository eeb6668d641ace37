"""Similarity of items: the cosine of their embeddings."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.interpreter import RankedItems


def vector_lengths(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lengths of embeddings, [V]; 1 for a zero embedding, whose cosines are 0."""
    lengths = np.sqrt(np.vecdot(embeddings, embeddings))
    lengths[lengths == 0] = 1
    return lengths


def rank_similar(
    embeddings: NDArray[np.float32], lengths: NDArray[np.float32], item_id: int, k: int
) -> RankedItems:
    """Return the k items with the highest cosine similarity to an item, without the item.

    Args:
        embeddings: of items 1 to V, [V, D].
        lengths: of these embeddings, [V].
        item_id: 1 to V.
        k: fewer items are returned if there are fewer.
    """
    # A matrix product would round equal rows differently, and break ties at random.
    products = np.vecdot(embeddings, embeddings[item_id - 1])
    cosines = products / lengths / lengths[item_id - 1]
    order = np.argsort(-cosines, kind="stable")
    ids = (order[order != item_id - 1] + 1)[:k]
    return RankedItems(ids[None].astype(np.int32), cosines[None, ids - 1])
