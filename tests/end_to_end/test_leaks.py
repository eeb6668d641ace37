"""Leaks: no feature of a target, or of a later activity, reaches the history before it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
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
from tests.small_data import log_of

COLUMNS = ("user", "item", "timestamp", "rating", "event")
EVENTS = ("buy", "cart", "view")
FEATURES_CONFIG = DataConfig(
    activity_features="rating,event",
    time_gaps=True,
    target_weight="rating:1=0,2=1,3=1,4=2,5=5",
    history_length=4,
    filters=FilterConfig(min_item_interactions=1, min_user_interactions=1),
)
SMALL = TrainConfig(window_length=3, batch_size=2)

# One user with every value, so that the vocabularies do not depend on the other users, and with
# two time gaps.
EVERY_VALUE = [("all", 1000 + i, i * i, 1.0 + i, EVENTS[i % 3]) for i in range(5)]

Row = tuple[Any, int, int, float, str]


@st.composite
def changes(draw) -> tuple[list[Row], list[Row], int, bool]:
    """Draw a log in which each item occurs once, and a copy that differs from one target on.

    Returns both logs, the item of the target, and whether the target's time differs too.
    """
    lengths = draw(st.lists(st.integers(3, 8), min_size=1, max_size=3))
    values = st.tuples(st.integers(0, 400), st.integers(1, 5).map(float), st.sampled_from(EVENTS))
    rows = []
    for user, length in enumerate(lengths):
        time = 0
        for _ in range(length):
            gap, rating, event = draw(values)
            time += gap
            rows.append((f"u{user}", len(rows), time, rating, event))
    target = draw(st.sampled_from([row for row in rows if rows[row[1] - 1][0] == row[0]]))
    changes_its_time = draw(st.booleans())
    changed, delay = [], 0
    for user, item, time, rating, event in rows:
        if user == target[0] and item >= target[1]:
            gap, rating, event = draw(values)
            delay += gap if changes_its_time or item > target[1] else 0
            time += delay
        changed.append((user, item, time, rating, event))
    return rows, changed, target[1], changes_its_time


def prepared(rows: list[Row], config: DataConfig) -> Dataset:
    return prepare(replace(log_of(rows, COLUMNS), ticks_per_second=1), config, seed=0)


def item_id(dataset: Dataset, item: int) -> int:
    return int(np.flatnonzero(dataset.vocabulary.values.to_numpy() == item)[0] + 1)


def decode(dataset: Dataset, history: Mapping[str, np.ndarray]) -> dict[str, list]:
    """Decode ids into values: the ids depend on the frequencies in the log."""
    values = {each.name: each.values for each in dataset.features}
    return {
        name: ids.tolist()
        if name in (ITEM, AGE)
        else [None if i == 0 else values[name][i - 1] for i in ids.ravel().tolist()]
        for name, ids in history.items()
    }


def training_inputs(
    dataset: Dataset, batches: TrainingBatches, target: int
) -> list[dict[str, list]]:
    """Collect the inputs before the target in every training window that contains it."""
    found = []
    for number in range(2 * batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        before = batch.history[ITEM].shape[-1] - batch.targets.shape[-1] + 1
        for step, row, column in zip(*np.nonzero(batch.targets == target), strict=True):
            upto = {name: ids[step, row, : before + column] for name, ids in batch.history.items()}
            found.append(decode(dataset, upto))
    return found


def without_last_age(history: dict[str, list]) -> dict[str, list]:
    return history | {AGE: history[AGE][:-1]}


@given(changed=changes())
def test_inputs_before_a_target_do_not_depend_on_the_target_or_later_activities(changed):
    rows, others, item, changes_its_time = changed
    one, other = (prepared([*EVERY_VALUE, *each], FEATURES_CONFIG) for each in (rows, others))
    target = item_id(one, item)
    assert item_id(other, item) == target
    position = np.flatnonzero(one.timelines.items == target)
    np.testing.assert_array_equal(one.timelines.items, other.timelines.items)
    histories = []
    for dataset in (one, other):
        found = dataset.timelines.histories(position, 4)
        history = decode(dataset, {name: ids[0] for name, ids in found.items()})
        if not changes_its_time:
            history["ages"] = dataset.timelines.ages(position, 4).tolist()
        in_training = training_inputs(
            dataset, training_batches(dataset, FEATURES_CONFIG, SMALL), target
        )
        inputs = [history, *in_training]
        # The last time gap depends on the time of the target, which a device knows: it is now.
        histories.append(
            [without_last_age(each) for each in inputs] if changes_its_time else inputs
        )
        if dataset.split.is_training_target[position].all():
            assert in_training
    assert histories[0] == histories[1]


# Groups of five items: the next item is in the top 10 if its group is known.
GROUPS, ITEMS, K = 8, 40, 10
CHANCE = K / ITEMS
PLANTED = DataConfig(
    activity_features="rating,event",
    time_gaps=True,
    target_weight="rating",
    keep_seen=True,
    history_length=2,
)


def planted_dataset(*, the_next: bool) -> Dataset:
    """Draw random items whose rating, event and time encode the group of the same item.

    With `the_next` they encode the group of the next item, so that the history predicts it.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(500):
        items = rng.integers(0, ITEMS, 14)
        groups = (items[1:] if the_next else items[:-1]) % GROUPS
        times = np.append(0, (2**groups).cumsum())
        for item, group, time in zip(items.tolist(), groups.tolist(), times.tolist(), strict=False):
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


@pytest.mark.slow
def test_features_of_the_target_itself_give_only_chance_recall(tmp_path):
    leaking = recall_of(planted_dataset(the_next=False), RunDirectory(tmp_path / "own"))
    # Three standard deviations for 500 targets.
    assert leaking == pytest.approx(CHANCE, abs=3 * np.sqrt(CHANCE * (1 - CHANCE) / 500))


@pytest.mark.slow
def test_features_that_reveal_the_next_item_are_learned(tmp_path):
    """Check that the test above would detect a leak."""
    assert recall_of(planted_dataset(the_next=True), RunDirectory(tmp_path / "next")) > 0.8
