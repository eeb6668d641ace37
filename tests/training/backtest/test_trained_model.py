"""Trained models on a newer log: what they read before a target, and at a moment."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.gaps import gap_ids
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.evaluation.metrics import missed_rank
from jaxrec.evaluation.ranking import Histories
from jaxrec.schema import AGE, ITEM, Feature
from jaxrec.training.backtest.trained_model import TrainedModel
from tests.small_data import data_config, left_padded, log_of

LENGTH = 6


class RecordingScorer:
    """Scores items by their id, the highest first, and records the histories."""

    def __init__(self, size: int):
        self.scores = np.arange(size + 1, dtype=np.float32)
        self.read: list[Histories] = []

    def __call__(self, history: Histories) -> np.ndarray:
        self.read.append({name: np.array(ids) for name, ids in history.items()})
        return np.tile(self.scores, (len(history[ITEM]), 1))


def model_of(
    log: OrderedLog, items: Sequence[int], *features: Feature, **settings
) -> tuple[TrainedModel, RecordingScorer]:
    """Return a model that knows some raw items of a log, with ids in this order."""
    scorer = RecordingScorer(len(items))
    config = data_config(history_length=LENGTH, keep_seen=True, **settings)
    numbers = np.array([1 + log.catalogue["item"].to_list().index(item) for item in items])
    return TrainedModel(scorer, {each.name: each for each in features}, numbers, config), scorer


def ordered(rows: Sequence[tuple], *columns: str) -> OrderedLog:
    log = order_log(log_of(rows, ("user", "item", "timestamp", *columns)), FilterConfig(1, 1))
    return OrderedLog(**{**vars(log), "ticks_per_second": 1})


# Raw items 10, 11, 13, 14 and 15, with the numbers 1 to 5 in the log; the model knows 13, 10 and
# 14, with the ids 1, 2 and 3.
ROWS = [
    *(("a", 10, 0), ("a", 11, 1), ("a", 13, 2), ("a", 14, 8), ("a", 15, 9), ("a", 10, 9)),
    *(("b", 15, 3), ("b", 14, 7)),
]
KNOWN = [13, 10, 14]


def test_the_history_of_a_target_has_all_known_items_before_it_those_of_the_period_too():
    log = ordered(ROWS)
    model, scorer = model_of(log, KNOWN)
    # The activities from time 7 on: a 14, a 15, a 10 and b 14.
    ranks = model.rank_targets(log, np.array([3, 4, 5, 7]))
    histories = {tuple(row) for read in scorer.read for row in read[ITEM].tolist()}
    width = scorer.read[0][ITEM].shape[1]
    assert histories == {tuple(left_padded(ids, width)) for ids in ([2, 1], [2, 1, 3], [])}
    # Scores are ids: 14 is the first of three, and 10 the second; 15 is unknown.
    assert ranks.tolist() == [1, missed_rank(3), 2, 1]
    assert model.knows(log)[[3, 4, 5, 7]].tolist() == [True, False, True, True]


def test_targets_that_are_all_unknown_are_missed():
    log = ordered(ROWS)
    model, scorer = model_of(log, KNOWN)
    assert model.rank_targets(log, np.array([4])).tolist() == [missed_rank(3)]
    assert scorer.read == []


def test_recommendations_at_a_moment_follow_the_known_items_before_it():
    log = ordered(ROWS)
    model, scorer = model_of(log, KNOWN)
    lists = model.recommend(log, np.array([0, 1]), 7)
    (read,) = scorer.read
    assert read[ITEM].tolist() == [[2, 1]]
    # The numbers in the log of 14, 10 and 13; user b has no known item before 7.
    assert lists.tolist() == [[4, 1, 3, *[0] * 7], [0] * 10]


def test_the_age_of_the_last_activity_is_that_at_the_moment():
    rows = [
        ("a", 10, 0),
        ("a", 13, 60),
        ("a", 11, 100),
        ("a", 14, 5000),
        ("b", 10, 1),
        ("b", 13, 9),
    ]
    log = ordered(rows)
    model, scorer = model_of(log, KNOWN, Feature(AGE, "activity", "age", 31), time_gaps=True)
    model.recommend(log, np.array([0]), 1060)
    # After the unknown item 11 is dropped, the gaps are those from 0 to 60 and from 60 to 1060.
    assert scorer.read[0][AGE].tolist() == [gap_ids(np.array([60, 1000])).tolist()]


def test_a_value_that_is_new_since_the_training_is_unknown():
    rows = [("a", 10, 0, "x"), ("a", 13, 1, "new"), ("a", 14, 2, "y"), ("a", 10, 3, "x")]
    log = ordered(rows, "place")
    place = Feature("place", "activity", "id", 2, ("y", "x"))
    model, scorer = model_of(log, KNOWN, place, activity_features="place")
    model.rank_targets(log, np.array([3]))
    (read,) = scorer.read
    assert read["place"].tolist() == [[2, 0, 1]]


activities = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 7), st.integers(0, 20)), min_size=1, max_size=30
)


@given(rows=activities, known=st.sets(st.integers(0, 7), min_size=1), start=st.integers(0, 20))
def test_every_history_precedes_its_target(rows, known, start):
    log = ordered(rows)
    items = [item for item in sorted(known) if item in log.catalogue["item"]]
    if not items:
        return
    model, scorer = model_of(log, items)
    raw = log.catalogue["item"].to_numpy()[log.items - 1].tolist()
    owners = np.repeat(np.arange(len(log.offsets) - 1), np.diff(log.offsets))
    is_target = log.timestamps >= start
    is_target[log.offsets[:-1]] = False
    targets = np.flatnonzero(is_target)
    if not len(targets):
        return
    model.rank_targets(log, targets)
    expected = {
        tuple(
            left_padded(
                [
                    items.index(raw[other]) + 1
                    for other in range(log.offsets[owners[position]], position)
                    if raw[other] in items
                ],
                LENGTH,
            )
        )
        for position in targets.tolist()
        if raw[position] in items
    }
    found = {tuple(left_padded(row, LENGTH)) for read in scorer.read for row in read[ITEM].tolist()}
    assert found == expected
