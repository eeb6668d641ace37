"""Top-k of the items that are not excluded: from the file's list if it suffices, else from all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.errors import UserError
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, RankedItems
from jaxrec.runtime.item_index import NO_ITEM
from jaxrec.runtime.item_scorer import ItemScorer
from jaxrec.runtime.top_k import histories_per_chunk, rank_all, rank_candidates, require_k

SIZE = 12


class ScoreTable(DeviceModel):
    """A device with a table of scores, indexed by the one number of each history.

    Its own lists exclude no item, and it has no signature `vectors`.
    """

    def __init__(self, scores: np.ndarray, top_k: int):
        self.table = np.pad(scores, ((0, 0), (1, 0)), constant_values=-1e9).astype(np.float32)
        self.top_k, self.candidates, self.signatures = top_k, 5, {}

    def recommend_all(self, histories):
        scores = self.table[histories[HISTORY][:, 0]]
        ids = np.argsort(-scores, axis=1, kind="stable")[:, : self.top_k].astype(np.int32)
        return RankedItems(ids, np.take_along_axis(scores, ids, axis=1))

    def score_all(self, histories, candidates):
        return np.take_along_axis(self.table[histories[HISTORY][:, 0]], candidates, axis=1)


def scorer_of(scores: np.ndarray, top_k: int = 1) -> ItemScorer:
    return ItemScorer(ScoreTable(scores, top_k), SIZE)


@st.composite
def scores_and_excluded(draw):
    """Draw scores with many ties and the excluded items of each history."""
    count = draw(st.integers(1, 4))
    row = st.lists(st.integers(-3, 3), min_size=SIZE, max_size=SIZE)
    scores = np.array(draw(st.lists(row, min_size=count, max_size=count)), np.float32)
    ids = st.sets(st.integers(0, SIZE))
    closed = np.zeros((count, SIZE + 1), bool)
    for number, left_out in enumerate(draw(st.lists(ids, min_size=count, max_size=count))):
        closed[number, list(left_out)] = True
    return scores, closed


def brute_force(scores: np.ndarray, closed: np.ndarray, items: set[int], k: int) -> list[int]:
    """Sort the items of one history that are not excluded, in plain Python."""
    is_open = [item for item in items if not closed[item]]
    best = sorted(is_open, key=lambda item: (-scores[item - 1], item))[:k]
    return best + [NO_ITEM] * (k - len(best))


@given(scores_and_excluded(), st.integers(1, SIZE), st.integers(1, SIZE))
def test_rank_all_matches_sorting_all_items(drawn, top_k, k):
    scores, closed = drawn
    histories = {HISTORY: np.arange(len(scores), dtype=np.int32)[:, None]}
    found = rank_all(scorer_of(scores, top_k), histories, closed, k)
    all_items = set(range(1, SIZE + 1))
    rows = zip(scores, closed, strict=True)
    assert found.ids.tolist() == [brute_force(*row, all_items, k) for row in rows]
    padded = np.pad(scores, ((0, 0), (1, 0)), constant_values=-np.inf)
    np.testing.assert_array_equal(found.scores, np.take_along_axis(padded, found.ids, axis=1))


@given(scores_and_excluded(), st.sets(st.integers(1, SIZE)), st.integers(1, SIZE))
def test_rank_candidates_matches_sorting_the_candidates(drawn, items, k):
    scores, closed = drawn
    histories = {HISTORY: np.arange(len(scores), dtype=np.int32)[:, None]}
    candidates = np.array(sorted(items), np.int32)
    found = rank_candidates(scorer_of(scores), histories, candidates, closed, k)
    rows = zip(scores, closed, strict=True)
    assert found.ids.tolist() == [brute_force(*row, items, k) for row in rows]


@pytest.mark.parametrize("k", [1, 12, np.int64(3)])
def test_a_k_within_the_catalogue_is_valid(k):
    require_k(k, SIZE)


@pytest.mark.parametrize("k", [0, -1, 13, 2.5, 3.0, "3", None, np.nan])
def test_another_k_is_refused(k):
    with pytest.raises(UserError, match=f"^k={k} is out of range; give 1 to 12$"):
        require_k(k, SIZE)


def test_chunks_fill_batches_and_fit_in_memory():
    assert histories_per_chunk(1, 39_999) == 100
    assert histories_per_chunk(64, 39_999) == 64
    assert histories_per_chunk(8, 39_999) == 96
    # At least one batch.
    assert histories_per_chunk(8, 10_000_000) == 8
