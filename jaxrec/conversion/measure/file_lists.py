"""Lists of a .tflite file for many users, as an app gets them."""

import numpy as np

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.runtime.interpreter import Inputs, RankedItems
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.top_k import rank_all
from jaxrec.schema import PAD


def recommend_unseen(
    scorer: ItemScorer, histories: Inputs, seen: ExcludedItems, k: int, *, keep_seen: bool
) -> RankedItems:
    """Return the top k items of each user, without those that the user has seen.

    A mask of n x V items is in memory.

    Args:
        seen: the ids of each user's items.
        keep_seen: whether seen items are listed too.

    Returns:
        [n, k]; padded with PAD where fewer than k items are left.
    """
    excluded = np.zeros((len(seen), scorer.size + 1), bool)
    excluded[:, PAD] = True
    if not keep_seen:
        excluded[seen.rows, seen.ids] = True
    return rank_all(scorer, histories, excluded, k)
