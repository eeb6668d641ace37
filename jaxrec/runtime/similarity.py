"""Similarity of items: the cosine of their embeddings."""

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.interpreter import RankedItems


def to_unit_vectors(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale embeddings to length one, [V, D]; zero embeddings stay zero."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return embeddings / lengths


def rank_similar(unit_embeddings: NDArray[np.float32], item_id: int, k: int) -> RankedItems:
    """Return the k items with the highest cosine similarity to an item, without the item.

    Args:
        unit_embeddings: of items 1 to V, of length one, [V, D].
        item_id: 1 to V.
        k: fewer items are returned if there are fewer.
    """
    # A matrix product would round equal rows differently, and break ties at random.
    cosines = np.vecdot(unit_embeddings, unit_embeddings[item_id - 1])
    order = np.argsort(-cosines, kind="stable")
    ids = (order[order != item_id - 1] + 1)[:k]
    return RankedItems(ids[None].astype(np.int32), cosines[None, ids - 1])
