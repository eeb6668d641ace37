"""Top-k of many histories at once, from products of two matrices.

A file computes the scores of one batch at a time, and reads all item embeddings for it. A product
of the queries and the embeddings of a block of histories reads them once. Like the file, it adds
the D products to the bias in order, so that its scores are the file's, to the last bit. That is so
for OpenBLAS, which NumPy has on most systems; `read_item_matrix` compares the two.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxrec.runtime.interpreter import HISTORY, Inputs, RankedItems
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.top_k import histories_per_chunk, rank_all

HISTORIES = 128
"""Histories of a block."""

# Most items of a block, whose scores take 8 MB.
_ITEMS = 1 << 14
# Most items of a group, and the least number of groups for each place of a list.
_MAX_GROUP, _GROUPS_PER_PLACE = 64, 8

ItemMatrix = NDArray[np.float32]
"""The bias and the embedding of each item as a column, [1 + D, V]."""


class ExcludedPairs(NamedTuple):
    """The items to exclude from some lists, as pairs of a history and an item, with repeats.

    Attributes:
        rows: the history of each pair, from 0, int [m].
        ids: the item of each pair, int [m].
    """

    rows: NDArray[np.integer]
    ids: NDArray[np.integer]


class _Candidates(NamedTuple):
    """Pairs of a history and an item that may be in its list.

    Attributes:
        rows: the history of each pair, from 0, int [m].
        ids: the item of each pair, int [m].
        scores: float32 [m].
    """

    rows: NDArray[np.integer]
    ids: NDArray[np.integer]
    scores: NDArray[np.float32]


def read_item_matrix(scorer: ItemScorer, histories: Inputs) -> ItemMatrix | None:
    """Read the item matrix of a file; None if products with it are not exactly the file's scores.

    Args:
        histories: those whose lists are compared with the file's.
    """
    device = scorer.device
    if "vectors" not in device.signatures:
        return None
    vectors, biases = scorer.embeddings()
    matrix = np.empty((1 + vectors.shape[1], scorer.size), np.float32)
    matrix[0], matrix[1:] = biases, vectors.T
    scores = _score(_with_bias(device.encode_all(histories)), matrix)
    listed = device.recommend_all(histories)
    ours = np.take_along_axis(scores, listed.ids - 1, axis=1)
    return matrix if np.array_equal(ours, listed.scores) else None


def rank_block(
    scorer: ItemScorer,
    matrix: ItemMatrix | None,
    histories: Inputs,
    excluded: ExcludedPairs,
    k: int,
) -> RankedItems:
    """Return the lists of `rank_all` for the histories of a block, with the same scores.

    Args:
        matrix: of `read_item_matrix`; None: the file computes all scores.
        histories: at most HISTORIES.
    """
    count = len(histories[HISTORY])
    excluded = _distinct(excluded, count)
    if matrix is None or k > scorer.device.top_k:
        return _rank_rows(scorer, histories, excluded, np.arange(count), k)
    queries = _with_bias(scorer.device.encode_all(histories))
    found, excluded_scores = _find_candidates(queries, matrix, excluded, k)
    lists = _list_best(found, count, k)
    # The file's list lacks those of its items that are excluded, beside the history that it reads.
    is_above = excluded_scores >= lists.scores[excluded.rows, -1]
    rows, ids = excluded.rows[is_above], excluded.ids[is_above]
    is_missing = (histories[HISTORY][rows] != ids[:, None]).all(axis=1)
    missing = np.bincount(rows[is_missing], minlength=count)
    short = np.flatnonzero(missing + k > scorer.device.top_k)
    if len(short):
        again = _rank_rows(scorer, histories, excluded, short, k)
        lists.ids[short], lists.scores[short] = again
    return lists


def _rank_rows(
    scorer: ItemScorer,
    histories: Inputs,
    excluded: ExcludedPairs,
    rows: NDArray[np.integer],
    k: int,
) -> RankedItems:
    """Return the lists of `rank_all` for some of the histories, in chunks that fit in memory."""
    step = histories_per_chunk(scorer.device.batch_size, scorer.size)
    parts = []
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        row_of = np.full(len(histories[HISTORY]), -1)
        row_of[chunk] = np.arange(len(chunk))
        is_excluded = np.zeros((len(chunk), scorer.size + 1), bool)
        is_excluded[:, NO_ITEM] = True
        is_in_chunk = row_of[excluded.rows] >= 0
        is_excluded[row_of[excluded.rows[is_in_chunk]], excluded.ids[is_in_chunk]] = True
        chosen = {name: values[chunk] for name, values in histories.items()}
        parts.append(rank_all(scorer, chosen, is_excluded, k))
    return RankedItems(*map(np.concatenate, zip(*parts, strict=True)))


def _with_bias(queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each query after a one, which is the factor of the bias, [n, 1 + D]."""
    return np.insert(queries, 0, 1, axis=1)


def _score(queries: NDArray[np.float32], items: ItemMatrix) -> NDArray[np.float32]:
    """Return the scores of some items for each query with a factor of the bias."""
    if len(queries) == 1:
        # The product of a vector and a matrix would add in another order.
        return (np.repeat(queries, 2, axis=0) @ items)[:1]
    return queries @ items


def _distinct(excluded: ExcludedPairs, count: int) -> ExcludedPairs:
    """Return the pairs of known items, each once, ordered by id."""
    keys = np.unique(excluded.ids.astype(np.int64) * count + excluded.rows)
    ids, rows = np.divmod(keys[keys >= count], count)
    return ExcludedPairs(rows, ids)


def _find_candidates(
    queries: NDArray[np.float32], matrix: ItemMatrix, excluded: ExcludedPairs, k: int
) -> tuple[_Candidates, NDArray[np.float32]]:
    """Find a few items that include the top k of each query, and the scores of excluded items.

    The items are scored in blocks. They are candidates if their scores reach a threshold, which
    rises from block to block: the k-th highest of the maxima of groups of items.
    """
    size = matrix.shape[1]
    group = min(_MAX_GROUP, max(1, size // (_GROUPS_PER_PLACE * k)))
    edges = np.linspace(0, size, -(-size // _ITEMS) + 1).astype(int)
    pair_edges = np.searchsorted(excluded.ids - 1, edges)
    highest = np.empty((len(queries), 0), np.float32)
    threshold = np.full(len(queries), -np.inf, np.float32)
    found, excluded_scores = [], []
    for number, start in enumerate(edges[:-1]):
        scores = _score(queries, matrix[:, start : edges[number + 1]])
        pairs = slice(*pair_edges[number : number + 2])
        places = excluded.rows[pairs], excluded.ids[pairs] - 1 - start
        excluded_scores.append(scores[places])
        scores[places] = -np.inf
        highest = np.concatenate([highest, *_group_maxima(scores, group)], axis=1)
        if highest.shape[1] > k:
            highest = np.partition(highest, -k, axis=1)[:, -k:]
            threshold = highest.min(axis=1)
        flat = np.flatnonzero(scores >= threshold[:, None])
        rows, columns = np.divmod(flat, scores.shape[1])
        found.append(_Candidates(rows, columns + start + 1, scores.reshape(-1)[flat]))
    rows, ids, scores = map(np.concatenate, zip(*found, strict=True))
    is_kept = (scores >= threshold[rows]) & (scores > -np.inf)
    kept = _Candidates(rows[is_kept], ids[is_kept], scores[is_kept])
    return kept, np.concatenate(excluded_scores)


def _group_maxima(scores: NDArray[np.float32], group: int) -> list[NDArray[np.float32]]:
    """Return the highest score of each group of items, and the scores of the items in no group."""
    count = scores.shape[1] // group
    # The items of a group are `count` apart, so that all maxima are those of contiguous rows.
    grouped = scores[:, : count * group].reshape(len(scores), group, count)
    return [grouped.max(axis=1), scores[:, count * group :]]


def _list_best(found: _Candidates, count: int, k: int) -> RankedItems:
    """Return the k best candidates of each of `count` histories; of equal ones, lower ids first."""
    order = np.lexsort((found.ids, -found.scores, found.rows))
    rows, ids, scores = found.rows[order], found.ids[order], found.scores[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    is_listed = places < k
    lists = RankedItems(
        np.full((count, k), NO_ITEM, np.int32), np.full((count, k), -np.inf, np.float32)
    )
    listed = rows[is_listed], places[is_listed]
    lists.ids[listed], lists.scores[listed] = ids[is_listed], scores[is_listed]
    return lists
