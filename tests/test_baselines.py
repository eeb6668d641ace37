"""The floor: counts by hand on a log of seven activities."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.baselines import Popularity, Transitions
from jaxrec.data.sequences import Timelines
from jaxrec.data.splits import Split
from jaxrec.features import ITEM
from tests.worlds import timelines_of, training_on_everything, worlds

# Laid end to end, 2 would follow 2 and 3 would follow 3: across users, which is nothing.
WORLD = timelines_of([[1, 2, 1, 2], [2, 3], [3, 1]])
COUNTS = np.array([0, 3, 3, 2])


def after(*histories: list[int]) -> dict[str, np.ndarray]:
    return {ITEM: np.array(histories, np.int32)}


def best_first(scores: np.ndarray) -> list[int]:
    return (1 + np.argsort(-scores[1:], kind="stable")).tolist()


def split_with(timelines: Timelines, mask: list[bool]) -> Split:
    nothing = np.empty(0, np.int64)
    return Split(np.array(mask), timelines.offsets[1:], nothing, nothing)


def test_popularity_gives_every_history_the_same_counts():
    scores = Popularity(COUNTS)(after([0, 0], [1, 2], [3, 3]))
    assert scores.tolist() == [[0, 3, 3, 2]] * 3
    assert scores.dtype == np.float32


def test_transitions_by_hand():
    transitions = Transitions(WORLD, training_on_everything(WORLD), COUNTS)
    scores = transitions(after([0, 1], [1, 2], [2, 3], [0, 0]))
    # 1 -> 2 twice, 2 -> 1 once, 2 -> 3 once, 3 -> 1 once; of 8 targets, popularity in ninths.
    popularity = np.array([0, 3, 3, 2]) / 9
    expected = np.array([[0, 0, 2, 0], [0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]) + popularity
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert scores.dtype == np.float32


def test_equal_counts_and_items_that_never_followed_are_told_apart_by_popularity():
    transitions = Transitions(WORLD, training_on_everything(WORLD), COUNTS)
    # After 2 came 1 and 3 once each: 1 is more popular. 2 never did and comes last.
    assert best_first(transitions(after([0, 2]))[0]) == [1, 3, 2]
    # After 3 came 1 alone; of the others 2 is more popular.
    assert best_first(transitions(after([0, 3]))[0]) == [1, 2, 3]


def test_popularity_never_outweighs_one_transition():
    # Item 1 is nearly everything that anybody does; but once, 2 was followed by 3.
    world = timelines_of([[1] * 100_000, [2, 3]])
    counts = np.array([0, 100_000, 1, 1])
    scores = Transitions(world, training_on_everything(world), counts)(after([2]))[0]
    assert scores[3] > scores[1] > scores[2]


def test_an_empty_history_and_an_unknown_transition_give_the_popular_items():
    transitions = Transitions(WORLD, training_on_everything(WORLD), COUNTS)
    empty = transitions(after([0, 0]))[0]
    assert best_first(empty) == [1, 2, 3]
    # The same as an item that nothing ever followed.
    last_only = timelines_of([[1, 2], [1, 3]])
    counts = np.array([0, 2, 1, 1])
    never = Transitions(last_only, training_on_everything(last_only), counts)
    np.testing.assert_array_equal(never(after([0, 3]))[0], never(after([0, 0]))[0])


def test_only_training_targets_are_transitions():
    # Held out: the second 2 of user 0 and the 1 of user 2.
    mask = [True, True, True, False, True, True, True, False]
    counts = np.array([0, 2, 2, 2])
    scores = Transitions(WORLD, split_with(WORLD, mask), counts)(after([1], [2], [3]))
    expected = np.array([[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]) + counts / 7
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(world=worlds(), data=st.data())
def test_transitions_are_what_plain_counting_says(world, data):
    n = sum(map(len, world))
    mask = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    timelines = timelines_of(world)
    targets = [item for item, flag in zip(timelines.items.tolist(), mask, strict=True) if flag]
    counts = np.bincount(targets, minlength=10) if targets else np.zeros(10, np.int64)
    pairs, position = Counter(), 0
    for items in world:
        for i, item in enumerate(items):
            if i and mask[position]:
                pairs[items[i - 1], item] += 1
            position += 1
    # Every last item, PAD among them, and one of them twice.
    last = [*range(10), 4]
    scores = Transitions(timelines, split_with(timelines, mask), counts)(
        after(*([i] for i in last))
    )
    for row, item in zip(scores, last, strict=True):
        for candidate in range(10):
            expected = pairs[item, candidate] + counts[candidate] / (counts.sum() + 1)
            np.testing.assert_allclose(row[candidate], expected, rtol=1e-6)
