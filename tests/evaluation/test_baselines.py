"""Baselines, against counts by hand on small logs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.splits import Split
from jaxrec.data.timelines import Timelines
from jaxrec.evaluation.baselines import Popularity, Transitions, make_baselines, recent_popularity
from jaxrec.evaluation.ranking import Histories, Scorer
from jaxrec.evaluation.scores import materialize_scores
from jaxrec.schema import ITEM
from tests.small_data import log_of, timelines_of, training_on_everything, user_sequences

# In the concatenated timelines 2 follows 2 and 3 follows 3 across users: no transitions.
WORLD = timelines_of([[1, 2, 1, 2], [2, 3], [3, 1]])
COUNTS = np.array([0, 3, 3, 2])


def batch_of(*histories: list[int]) -> dict[str, np.ndarray]:
    return {ITEM: np.array(histories, np.int32)}


def dense(scorer: Scorer) -> Callable[[Histories], np.ndarray]:
    """Return a scorer that materializes the scores of all items."""
    return lambda history: np.asarray(materialize_scores(scorer(history)))


def best_first(scores: np.ndarray) -> list[int]:
    return (1 + np.argsort(-scores[1:], kind="stable")).tolist()


def split_with(timelines: Timelines, mask: list[bool]) -> Split:
    no_positions = np.empty(0, np.int64)
    return Split(np.array(mask), timelines.offsets[1:], no_positions, no_positions)


def test_popularity_scores_every_history_by_the_counts():
    scores = dense(Popularity(COUNTS))(batch_of([0, 0], [1, 2], [3, 3]))
    assert scores.tolist() == [[0, 3, 3, 2]] * 3
    assert scores.dtype == np.float32


def test_transitions_by_hand():
    transitions = dense(Transitions(WORLD, training_on_everything(WORLD), COUNTS))
    scores = transitions(batch_of([0, 1], [1, 2], [2, 3], [0, 0]))
    # 1 -> 2 twice, 2 -> 1, 2 -> 3 and 3 -> 1 once. With 8 targets, popularity is in ninths.
    popularity = np.array([0, 3, 3, 2]) / 9
    expected = np.array([[0, 0, 2, 0], [0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]) + popularity
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert scores.dtype == np.float32


def test_popularity_breaks_ties_between_transitions():
    transitions = dense(Transitions(WORLD, training_on_everything(WORLD), COUNTS))
    # 1 and 3 follow 2 once each, and 1 is more popular. 2 never follows 2 and comes last.
    assert best_first(transitions(batch_of([0, 2]))[0]) == [1, 3, 2]
    # Only 1 follows 3; of the others, 2 is more popular.
    assert best_first(transitions(batch_of([0, 3]))[0]) == [1, 2, 3]


def test_popularity_never_outweighs_one_transition():
    # Nearly all activities are of item 1, but 3 follows 2 once.
    timelines = timelines_of([[1] * 100_000, [2, 3]])
    counts = np.array([0, 100_000, 1, 1])
    scores = dense(Transitions(timelines, training_on_everything(timelines), counts))(
        batch_of([2])
    )[0]
    assert scores[3] > scores[1] > scores[2]


def test_an_empty_history_and_an_unknown_transition_fall_back_to_popularity():
    transitions = dense(Transitions(WORLD, training_on_everything(WORLD), COUNTS))
    empty = transitions(batch_of([0, 0]))[0]
    assert best_first(empty) == [1, 2, 3]
    # An item without a successor has the scores of an empty history.
    last_only = timelines_of([[1, 2], [1, 3]])
    counts = np.array([0, 2, 1, 1])
    never = dense(Transitions(last_only, training_on_everything(last_only), counts))
    np.testing.assert_array_equal(never(batch_of([0, 3]))[0], never(batch_of([0, 0]))[0])


def test_only_training_targets_are_transitions():
    # Held out: the second 2 of user 0 and the 1 of user 2.
    mask = [True, True, True, False, True, True, True, False]
    counts = np.array([0, 2, 2, 2])
    scores = dense(Transitions(WORLD, split_with(WORLD, mask), counts))(batch_of([1], [2], [3]))
    expected = np.array([[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]) + counts / 7
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@given(sequences=user_sequences(), data=st.data())
def test_transitions_match_counts_in_plain_python(sequences, data):
    n = sum(map(len, sequences))
    mask = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    timelines = timelines_of(sequences)
    targets = [item for item, flag in zip(timelines.items.tolist(), mask, strict=True) if flag]
    counts = np.bincount(targets, minlength=10) if targets else np.zeros(10, np.int64)
    pairs, position = Counter(), 0
    for items in sequences:
        for i, item in enumerate(items):
            if i and mask[position]:
                pairs[items[i - 1], item] += 1
            position += 1
    # Every last item, PAD included, and one of them twice.
    last = [*range(10), 4]
    scores = dense(Transitions(timelines, split_with(timelines, mask), counts))(
        batch_of(*([i] for i in last))
    )
    for row, item in zip(scores, last, strict=True):
        for candidate in range(10):
            expected = pairs[item, candidate] + counts[candidate] / (counts.sum() + 1)
            np.testing.assert_allclose(row[candidate], expected, rtol=1e-6)


def test_recent_popularity_by_hand():
    # The newest training target is at time 100; the 3 at time 120 is held out.
    timelines = timelines_of(
        [[1, 1, 2, 4], [1, 3, 3], [2, 4]], [[10, 50, 91, 100], [20, 90, 120], [95, 99]]
    )
    split = split_with(timelines, [True] * 6 + [False] + [True] * 2)
    counts = np.array([0, 3, 2, 1, 2])
    scores = dense(recent_popularity(timelines, split, counts, window=10))(batch_of([1], [0]))
    # After time 90: 2 and 4 twice; the 3 at time 90 is too old. Overall 1 has three, and 3 one.
    assert best_first(scores[0]) == [2, 4, 1, 3]
    assert scores[0, 2] == scores[0, 4] > scores[0, 1] > scores[0, 3]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert scores.dtype == np.float32
    one_more = dense(recent_popularity(timelines, split, counts, window=11))(batch_of([1]))[0]
    assert best_first(one_more) == [2, 4, 3, 1]


def test_popularity_breaks_ties_of_recent_popularity_at_large_counts():
    """A fraction added to a count this large would be lost in float32."""
    items = [1, *[3] * 3, *[2] * 2, *[4] * 100_000, *[2] * 50_000, *[3] * 50_000]
    timelines = timelines_of([items], [[0] * 6 + [100] * 200_000])
    counts = np.bincount(items)
    scores = dense(
        recent_popularity(timelines, training_on_everything(timelines), counts, window=50)
    )
    assert best_first(scores(batch_of([1]))[0]) == [4, 3, 2, 1]


def dataset_in(ticks_per_second: int | None):
    """Prepare ten users with six activities each, one user after another, all one day apart."""
    unit = ticks_per_second or 1
    rows = [
        (user, (user + step) % 7, (1_600_000_000 + (6 * user + step) * 86_400) * unit)
        for user in range(10)
        for step in range(6)
    ]
    config = DataConfig(
        split="temporal",
        filters=FilterConfig(min_item_interactions=1, min_user_interactions=1),
    )
    return prepare(replace(log_of(rows), ticks_per_second=ticks_per_second), config, seed=0)


def test_a_temporal_split_adds_recent_popularity_if_the_time_unit_is_known():
    history = batch_of([1, 2])
    dataset = dataset_in(1)
    baselines, missing_reason = make_baselines(dataset, "temporal")
    assert list(baselines) == ["transitions", "popularity", "popular in 7 days"]
    assert missing_reason == ""
    # 60 activities one day apart, 48 of them for training: the last seven are days 41 to 47.
    recent = dataset.timelines.items[41:48]
    counts = np.bincount(recent, minlength=8)
    scores = dense(baselines["popular in 7 days"])(history)[0]
    order = np.lexsort((dataset.vocabulary.counts[1:], counts[1:]))
    assert np.all(np.diff(scores[1:][order]) >= 0)
    in_milliseconds, _ = make_baselines(dataset_in(1000), "temporal")
    np.testing.assert_array_equal(scores, dense(in_milliseconds["popular in 7 days"])(history)[0])

    baselines, missing_reason = make_baselines(dataset_in(None), "temporal")
    assert list(baselines) == ["transitions", "popularity"]
    assert missing_reason == (
        "no baseline 'popular in 7 days': times from 1600000000 to 1605097600 are not seconds, "
        "milli-, micro- or nanoseconds since 1970; set their unit with --log.time-unit"
    )


@pytest.mark.parametrize("split", ["leave-one-out", "random-pairs"])
def test_other_splits_have_the_two_baselines_without_time(split):
    baselines, missing_reason = make_baselines(dataset_in(1), split)
    assert (list(baselines), missing_reason) == (["transitions", "popularity"], "")
