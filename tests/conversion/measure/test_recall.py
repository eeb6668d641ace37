"""Recall from a device's lists and scores, against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxrec.conversion.inputs import as_inputs
from jaxrec.conversion.measure.recall import RECALL_AT, compute_hits, compute_recall
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.runs.heldout import Heldout
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, RankedItems
from jaxrec.schema import ITEM, PAD

R = 16


def by_hand(scores: np.ndarray, target: int, excluded: np.ndarray) -> bool:
    """Check that at most RECALL_AT candidates are not worse than the target."""
    if excluded[target]:
        return False
    others = [i for i in range(R) if not excluded[i] and i != target]
    return 1 + sum(scores[i] >= scores[target] for i in others) <= RECALL_AT


class FromTable(DeviceModel):
    """A device model that looks scores up in a table, by the last item of a history."""

    def __init__(self, scores_RR: np.ndarray, top_k: int, keep_seen: bool):
        self.scores_RR, self.top_k, self.keep_seen = scores_RR, top_k, keep_seen

    def recommend_all(self, histories):
        histories = histories[HISTORY]
        scores = self.scores_RR[histories[:, -1]].copy()
        scores[:, PAD] = -np.inf
        if not self.keep_seen:
            scores[np.arange(len(scores))[:, None], histories] = -np.inf
        ids = np.argsort(-scores, axis=1, kind="stable")[:, : self.top_k].astype(np.int32)
        return RankedItems(ids, np.take_along_axis(scores, ids, axis=1))

    def score_all(self, histories, candidates):
        return np.take_along_axis(self.scores_RR[histories[HISTORY][:, -1]], candidates, axis=1)


@st.composite
def cases(draw):
    """Draw a score table with ties, users' seen items and targets, and the length of lists."""
    users = draw(st.integers(1, 4))
    # Few values make ties common, but none between the last listed item and the next one.
    scores = draw(hnp.arrays(np.float32, (R, R), elements=st.integers(0, 5).map(float)))
    scores = scores + np.arange(R, dtype=np.float32) * draw(st.sampled_from([0.0, 0.1]))
    excluded = draw(
        st.lists(st.sets(st.integers(1, R - 1), min_size=2), min_size=users, max_size=users)
    )
    targets = draw(st.lists(st.integers(1, R - 1), min_size=users, max_size=users))
    # With ties, the list is as long as possible: ties across its end are not tested here.
    top_k = R - 3 if scores[0, 1] == np.round(scores[0, 1]) else draw(st.integers(1, R - 3))
    return scores, [sorted(each) for each in excluded], targets, top_k


@given(case=cases(), keep_seen=st.booleans())
def test_recall_from_lists_equals_recall_from_all_scores(case, keep_seen):
    scores, excluded, targets, top_k = case
    offsets = np.cumsum([0, *map(len, excluded)])
    heldout = Heldout(
        {ITEM: np.array([each[-2:] for each in excluded], np.int32)},
        np.array(targets, np.int32),
        ExcludedItems(np.concatenate([np.array(each, np.int32) for each in excluded]), offsets),
    )
    device = FromTable(scores, top_k, keep_seen)
    hits = []
    for history, items, target in zip(heldout.history[ITEM], excluded, targets, strict=True):
        excluded = np.zeros(R, bool)
        excluded[PAD] = True
        if not keep_seen:
            excluded[items] = True
        hits.append(by_hand(scores[history[-1]], target, excluded))
    lists = device.recommend_all(as_inputs(heldout.history))
    recall = compute_recall(device, lists, heldout, R - 1, keep_seen=keep_seen)
    assert recall == np.mean(hits)


def users_of(targets: list[int], excluded_ids: list[int], counts: list[int]) -> Heldout:
    """Return held-out users with a target each, and `counts` of the excluded items each."""
    history = {ITEM: np.zeros((len(targets), 1), np.int32)}
    excluded = ExcludedItems(np.array(excluded_ids, np.int32), np.cumsum([0, *counts]))
    return Heldout(history, np.array(targets, np.int32), excluded)


def test_targets_beyond_a_short_list_are_open():
    ids = np.array([[1, 2, 3]] * 3, np.int32)
    scores = np.array([[3.0, 2.0, 1.0]] * 3, np.float32)
    users = users_of([2, 9, 9], excluded_ids=[9], counts=[0, 0, 1])
    hit, is_open = compute_hits(users, np.arange(3), ids, scores, keep_seen=False)
    # In the list; not in it, but perhaps next; seen before, and thus a certain miss.
    assert hit.tolist() == [True, False, False]
    assert is_open.tolist() == [False, True, False]


def test_ties_count_against_the_target():
    user = users_of([1], excluded_ids=[], counts=[0])
    ids, scores = np.arange(1, 12, dtype=np.int32)[None], np.ones((1, 11), np.float32)
    assert not compute_hits(user, np.arange(1), ids, scores, keep_seen=False)[0][0]
    scores[0, 0] = 2
    assert compute_hits(user, np.arange(1), ids, scores, keep_seen=False)[0][0]


def test_a_subsample_is_spread_over_all_histories():
    ids = np.arange(20, dtype=np.int32).reshape(10, 2)
    excluded = ExcludedItems(np.arange(10, dtype=np.int32), np.arange(11))
    some = Heldout({ITEM: ids, "user_age": ids[:, 0]}, ids[:, 1], excluded).subsample(4)
    assert some.target.tolist() == [1, 7, 13, 19]
    assert some.history[ITEM][:, 1].tolist() == some.target.tolist()
    assert some.history["user_age"].tolist() == [0, 6, 12, 18]
    assert some.seen.ids.tolist() == [0, 3, 6, 9]
