"""Top-k: the highest-scored items after a history, without those that are excluded."""

from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from jaxrec.errors import UserError
from jaxrec.runtime.interpreter import Inputs, RankedItems
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.item_scorer import ItemScorer

ExcludedMask = NDArray[np.bool_]
"""The mask of excluded items, by id, [n, V + 1]; NO_ITEM is always excluded."""

# The maximum number of entries of a histories-by-items array in memory.
_MAX_ENTRIES = 4_000_000


def require_k(k: object, catalogue_size: int) -> None:
    """Check that k is a whole number of items that a list can have.

    Raises:
        UserError: it is not.
    """
    if not (isinstance(k, Integral) and 1 <= int(k) <= catalogue_size):
        raise UserError(f"k={k} is out of range; give 1 to {catalogue_size:,}")


def histories_per_chunk(batch_size: int, catalogue_size: int) -> int:
    """Return the number of histories to rank together: as many full batches as fit in memory."""
    return batch_size * max(1, _MAX_ENTRIES // (batch_size * (catalogue_size + 1)))


def rank_all(scorer: ItemScorer, histories: Inputs, excluded: ExcludedMask, k: int) -> RankedItems:
    """Return the top k items of each history; among equal scores, lower ids come first.

    The file's own list is used where at least k of its items are not excluded. For the other
    histories every item is scored.

    Returns:
        [n, k]; padded with NO_ITEM, of score -inf, where fewer than k items are left.
    """
    found = _drop_excluded(scorer.device.recommend_all(histories), excluded, k)
    short = np.flatnonzero(found.ids[:, -1] == NO_ITEM)
    if len(short):
        histories = {name: rows[short] for name, rows in histories.items()}
        everything = np.arange(1, excluded.shape[1], dtype=np.int32)
        rest = rank_candidates(scorer, histories, everything, excluded[short], k)
        found.ids[short], found.scores[short] = rest
    return found


def rank_candidates(
    scorer: ItemScorer,
    histories: Inputs,
    candidates: NDArray[np.int32],
    excluded: ExcludedMask,
    k: int,
) -> RankedItems:
    """Return the top k of some items for each history, as `rank_all` does.

    Args:
        candidates: their ids, in ascending order, each once.
    """
    scores = scorer.score(histories, candidates)
    scores = np.where(excluded[:, candidates], -np.inf, scores)
    order = np.stack([_top_positions(row, k) for row in scores])
    rows = np.arange(len(scores))[:, None]
    return _drop_excluded(RankedItems(candidates[order], scores[rows, order]), excluded, k)


def _top_positions(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the positions of the k highest scores, best first; of equal ones, the first."""
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    # Sorting a million scores takes ten times as long as finding the k-th highest.
    lowest = np.partition(scores, -k)[-k]
    positions = np.flatnonzero(scores >= lowest)
    return positions[np.argsort(-scores[positions], kind="stable")[:k]]


def _drop_excluded(lists: RankedItems, excluded: ExcludedMask, k: int) -> RankedItems:
    """Return the first k items of each list that are not excluded."""
    ids, scores = lists
    rows = np.arange(len(ids))[:, None]
    if ids.shape[1] >= k and not excluded[rows, ids[:, :k]].any():
        # The usual case: the graph excludes the history.
        return RankedItems(ids[:, :k], scores[:, :k])
    is_excluded = excluded[rows, ids]
    # The sort is stable: excluded items move to the end, and the others keep their order.
    order = np.argsort(is_excluded, axis=1, kind="stable")[:, :k]
    is_excluded = is_excluded[rows, order]
    ids = np.where(is_excluded, NO_ITEM, ids[rows, order])
    scores = np.where(is_excluded, -np.inf, scores[rows, order])
    missing = k - order.shape[1]
    if missing <= 0:
        return RankedItems(ids, scores)
    fill = (0, 0), (0, missing)
    return RankedItems(
        np.pad(ids, fill, constant_values=NO_ITEM), np.pad(scores, fill, constant_values=-np.inf)
    )
