"""Leaks: what is said of a target, or of anything after it, is never in the history before it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import AGE, ITEM
from jaxrec.training.fit import init_model
from jaxrec.training.loop import train
from jaxrec.training.windows import training_batches
from tests.worlds import log_of

COLUMNS = ("user", "item", "timestamp", "rating", "event")
EVENTS = ("buy", "cart", "view")
TOLD = DataConfig(
    activity_features="rating,event",
    time=True,
    label_weight="rating:1=0,2=1,3=1,4=2,5=5",
    history_length=4,
    filters=FilterConfig(min_item_interactions=1, min_user_interactions=1),
)
SMALL = TrainConfig(window_length=3, batch_size=2)

# One user has every value, so that all of them are known whatever another's are, and two gaps.
EVERYTHING = [("all", 1000 + i, i * i, 1.0 + i, EVENTS[i % 3]) for i in range(5)]

Row = tuple[Any, int, int, float, str]


@st.composite
def changes(draw) -> tuple[list[Row], list[Row], int, bool]:
    """Draw a log of items that are each met once, and the same with another truth from one on.

    Gives both, the item of the target from which on they differ, and whether its time does.
    """
    lengths = draw(st.lists(st.integers(3, 8), min_size=1, max_size=3))
    said = st.tuples(st.integers(0, 400), st.integers(1, 5).map(float), st.sampled_from(EVENTS))
    rows = []
    for user, length in enumerate(lengths):
        time = 0
        for _ in range(length):
            gap, rating, event = draw(said)
            time += gap
            rows.append((f"u{user}", len(rows), time, rating, event))
    target = draw(st.sampled_from([row for row in rows if rows[row[1] - 1][0] == row[0]]))
    its_time_too = draw(st.booleans())
    changed, delay = [], 0
    for user, item, time, rating, event in rows:
        if user == target[0] and item >= target[1]:
            gap, rating, event = draw(said)
            delay += gap if its_time_too or item > target[1] else 0
            time += delay
        changed.append((user, item, time, rating, event))
    return rows, changed, target[1], its_time_too


def prepared(rows: list[Row], config: DataConfig) -> Dataset:
    return prepare(replace(log_of(rows, COLUMNS), ticks_per_second=1), config, seed=0)


def id_of(dataset: Dataset, item: int) -> int:
    return int(np.flatnonzero(dataset.vocabulary.values.to_numpy() == item)[0] + 1)


def raw(dataset: Dataset, history: Mapping[str, np.ndarray]) -> dict[str, list]:
    """Give the values that ids stand for: their numbers follow from what is common."""
    values = {each.name: each.values for each in dataset.features}
    return {
        name: ids.tolist()
        if name in (ITEM, AGE)
        else [None if i == 0 else values[name][i - 1] for i in ids.ravel().tolist()]
        for name, ids in history.items()
    }


def learned_from(dataset: Dataset, batches: TrainingBatches, target: int) -> list[dict[str, list]]:
    """Gather all that a training has before the target, in every window that holds it."""
    found = []
    for number in range(2 * batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        before = batch.history[ITEM].shape[-1] - batch.targets.shape[-1] + 1
        for step, row, column in zip(*np.nonzero(batch.targets == target), strict=True):
            upto = {name: ids[step, row, : before + column] for name, ids in batch.history.items()}
            found.append(raw(dataset, upto))
    return found


def without_last_age(history: dict[str, list]) -> dict[str, list]:
    return history | {AGE: history[AGE][:-1]}


@settings(max_examples=30, deadline=None)
@given(changed=changes())
def test_what_is_said_of_a_target_and_what_came_after_change_nothing_before_it(changed):
    rows, others, item, its_time_too = changed
    one, other = (prepared([*EVERYTHING, *each], TOLD) for each in (rows, others))
    target = id_of(one, item)
    assert id_of(other, item) == target
    position = np.flatnonzero(one.timelines.items == target)
    np.testing.assert_array_equal(one.timelines.items, other.timelines.items)
    histories = []
    for dataset in (one, other):
        found = dataset.timelines.histories(position, 4)
        history = raw(dataset, {name: ids[0] for name, ids in found.items()})
        if not its_time_too:
            history["ages"] = dataset.timelines.ages(position, 4).tolist()
        in_training = learned_from(dataset, training_batches(dataset, TOLD, SMALL), target)
        told = [history, *in_training]
        # The gap behind the last activity is the time of the target: a device knows when now is.
        histories.append([without_last_age(each) for each in told] if its_time_too else told)
        if dataset.split.is_training_target[position].all():
            assert in_training
    assert histories[0] == histories[1]


# Items of a group of five: who knows the group of the next one finds it.
GROUPS, ITEMS, K = 8, 40, 10
CHANCE = K / ITEMS
PLANTED = DataConfig(
    activity_features="rating,event",
    time=True,
    label_weight="rating",
    keep_seen=True,
    history_length=2,
)


def world_that_tells(*, the_next: bool) -> Dataset:
    """Draw items at random; each activity's rating, event and time tell its own item's group.

    Or that of the next one, which is a history that does know.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(500):
        items = rng.integers(0, ITEMS, 14)
        told = (items[1:] if the_next else items[:-1]) % GROUPS
        times = np.append(0, (2**told).cumsum())
        for item, group, time in zip(items.tolist(), told.tolist(), times.tolist(), strict=False):
            rows.append((user, item, time, 1.0 + group % 5, EVENTS[group // 5]))
    return prepared(rows, PLANTED)


def recall_of(dataset: Dataset, folder: RunDirectory) -> float:
    config = Config(
        PLANTED,
        ModelConfig("rnn", embedding_dim=16, hidden_units=16, dropout=0.0),
        TrainConfig(epochs=4, batch_size=32, learning_rate=0.02),
    )
    folder.begin(config, dataset)
    trained = train(init_model(dataset, config), dataset, config, folder)
    scorer = model_scorer(trained.graphdef, trained.params)
    return float(np.mean(rank(scorer, dataset, dataset.split.test, PLANTED).ranks <= K))


def test_a_target_that_tells_its_item_by_itself_is_found_no_better_than_by_chance(tmp_path):
    leaking = recall_of(world_that_tells(the_next=False), RunDirectory(tmp_path / "own"))
    # Of 500 targets, three standard deviations.
    assert leaking == pytest.approx(CHANCE, abs=3 * np.sqrt(CHANCE * (1 - CHANCE) / 500))


def test_a_history_that_does_tell_the_next_item_is_learned_from(tmp_path):
    """The test above could not see a leak if this were not so."""
    assert recall_of(world_that_tells(the_next=True), RunDirectory(tmp_path / "next")) > 0.8
