"""The best items of histories, against sorting in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.evaluation import ranking
from jaxrec.evaluation.scores import BLOCK, Factors
from jaxrec.evaluation.top_items import top_items
from jaxrec.schema import ITEM, PAD

V = 12


def lists_of(scores: np.ndarray, seen: list[list[int]], *, top: int, keep_seen: bool):
    """Return the lists of histories that are numbers of rows of scores."""
    excluded = ExcludedItems(
        np.array([item for items in seen for item in items], np.int32),
        np.cumsum([0, *map(len, seen)]),
    )
    batches = top_items(
        lambda history: scores[history[ITEM][:, 0]],
        {ITEM: np.arange(len(seen), dtype=np.int32)[:, None]},
        excluded,
        catalogue_size=scores.shape[1] - 1,
        top=top,
        keep_seen=keep_seen,
    )
    return np.concatenate(list(batches))


@given(
    st.lists(st.lists(st.integers(1, V), max_size=V, unique=True), min_size=1, max_size=7),
    st.booleans(),
    st.integers(0, 1000),
)
def test_lists_equal_sorted_scores(seen, keep_seen, seed):
    scores = np.random.default_rng(seed).permuted(
        np.tile(np.arange(V + 1, dtype=np.float32), (len(seen), 1)), axis=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_MAX_SCORES", 3 * (V + 1))  # several batches
        found = lists_of(scores, seen, top=5, keep_seen=keep_seen)
    for row, items in enumerate(seen):
        excluded = {PAD} if keep_seen else {PAD, *items}
        best = [each for each in np.argsort(-scores[row]).tolist() if each not in excluded][:5]
        assert found[row].tolist() == best + [PAD] * (5 - len(best))


def test_lists_are_the_same_in_blocks_of_items(monkeypatch):
    rng = np.random.default_rng(0)
    size = BLOCK + 100
    queries, table = rng.normal(size=(7, 4)), rng.normal(size=(size + 1, 4))
    factors = queries.astype(np.float32), table.astype(np.float32), np.zeros(size + 1, np.float32)
    seen = ExcludedItems(np.arange(1, 8, dtype=np.int32), np.arange(8))

    def lists() -> list:
        batches = top_items(
            lambda history: Factors(factors[0][history[ITEM][:, 0]], *factors[1:]),
            {ITEM: np.arange(7, dtype=np.int32)[:, None]},
            seen,
            catalogue_size=size,
            top=10,
            keep_seen=False,
        )
        return np.concatenate(list(batches)).tolist()

    whole = lists()
    monkeypatch.setattr(ranking, "_MAX_WHOLE_ITEMS", size - 1)
    monkeypatch.setattr(ranking, "_HISTORIES_IN_BLOCKS", 3)
    assert lists() == whole
