"""Training batches: every target appears, none leaks, and any dispatch is reproducible.

In these timelines every position has its own item, position + 1, so an id in a batch identifies its
activity.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data import buckets
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.buckets import MAX_BUCKETS
from jaxrec.data.excluded_items import excluded_mask
from jaxrec.data.splits import Split, SplitName, split_timelines
from jaxrec.data.timelines import Timelines
from jaxrec.data.windowing import WindowShape
from jaxrec.schema import ITEM, PAD
from tests.small_data import left_padded, numbered_timelines, timelines_of, training_on_everything

NOTHING = np.empty(0, np.int64)


@pytest.fixture(autouse=True, scope="module")
def no_minimum():
    """Lower the number of positions that another shape must save: these timelines are short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buckets, "MIN_SAVED", 1)
        yield


class Case(NamedTuple):
    timelines: Timelines
    split: Split
    options: dict


@st.composite
def random_cases(draw) -> Case:
    """Draw timelines, a subset of training targets before each user's end, and sizes."""
    lengths = draw(st.lists(st.integers(1, 15), min_size=1, max_size=6))
    timelines = numbered_timelines(lengths)
    # At least one user has a training target.
    trained = [draw(st.integers(int(user == 0), length)) for user, length in enumerate(lengths)]
    is_training_target = np.zeros(sum(lengths), bool)
    for start, count in zip(timelines.offsets.tolist(), trained, strict=False):
        mask = draw(st.lists(st.booleans() | st.just(True), min_size=count, max_size=count))
        is_training_target[start : start + count] = mask
    is_training_target[0] = True
    training_ends = timelines.offsets[:-1] + np.array(trained)
    options = {
        "shape": WindowShape(
            draw(st.integers(1, 12)),
            draw(st.integers(0, 5)),
            6,
            draw(st.sampled_from([1, 2, 3, 6])),
        ),
        "catalogue_size": draw(st.sampled_from([None, sum(lengths)])),
        "max_steps_per_dispatch": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 1000)),
    }
    return Case(timelines, Split(is_training_target, training_ends, NOTHING, NOTHING), options)


def batches_of(case: Case) -> TrainingBatches:
    return TrainingBatches(case.timelines, case.split, **case.options)


class Row(NamedTuple):
    """One window: its history, and the targets that are predicted at its last columns."""

    history: list[int]
    targets: list[int]


def epoch_of(batches: TrainingBatches, number: int = 0) -> list[Row]:
    """Return the windows of an epoch in order."""
    first = number * batches.dispatches_per_epoch
    dispatches = [batches.dispatch(first + i) for i in range(batches.dispatches_per_epoch)]
    return [
        Row(history, targets)
        for batch in dispatches
        for of_step in zip(batch.history[ITEM].tolist(), batch.targets.tolist(), strict=True)
        for history, targets in zip(*of_step, strict=True)
    ]


def targets_of(rows: list[Row]) -> list[int]:
    return [target for row in rows for target in row.targets if target != PAD]


@given(case=random_cases(), epoch=st.integers(0, 3))
def test_an_epoch_has_every_training_target_once_and_no_other(case, epoch):
    batches = batches_of(case)
    expected = np.flatnonzero(case.split.is_training_target) + 1
    assert sorted(targets_of(epoch_of(batches, epoch))) == expected.tolist()
    assert batches.targets_per_epoch == len(expected)


@given(case=random_cases())
def test_the_history_of_a_target_is_all_before_it_from_the_lead_in_on(case):
    for history, targets in epoch_of(batches_of(case)):
        overlap = len(history) - len(targets)
        for column, target in enumerate(targets):
            if target == PAD:
                continue
            start = case.timelines.offsets[case.timelines.users_of(np.array([target - 1]))[0]]
            before = list(range(start + 1, target))
            # A prediction at a column sees the history up to and including that column.
            length = overlap + column + 1
            assert history[:length] == left_padded(before, length)
            # A shorter overlap than configured drops no history.
            assert len(before) <= length or overlap == case.options["shape"].overlap


@given(case=random_cases())
def test_shapes_are_few_and_have_about_equally_many_targets(case):
    batches, shape = batches_of(case), case.options["shape"]
    shapes, steps = set(), 0
    for number in range(batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        count, size, length = batch.targets.shape
        shapes.add(batch.targets.shape)
        steps += count
        overlap = batch.history[ITEM].shape[-1] - length
        assert batch.history[ITEM].shape[:2] == (count, size)
        assert 1 <= count <= case.options["max_steps_per_dispatch"]
        assert size % shape.batch_multiple == 0
        # As many positions as a full step, up to rounding to a multiple of batch_multiple rows.
        assert (
            abs(size - shape.batch_size * shape.length / length) <= shape.batch_multiple / 2
            or size == shape.batch_multiple
        )
        assert (length, overlap) == shape[:2] or overlap == 0
        assert batch.history[ITEM].dtype == batch.targets.dtype == np.int32
        np.testing.assert_array_equal(batch.weights, batch.targets != PAD)
    assert steps == batches.steps_per_epoch
    assert len(shapes) <= MAX_BUCKETS + 1


def test_dispatches_of_all_shapes_are_mixed_and_no_step_is_empty():
    timelines = numbered_timelines([3] * 64 + [9] * 64 + [40] * 8)
    batches = batches_of(
        Case(
            timelines,
            training_on_everything(timelines),
            {
                "shape": WindowShape(10, 4, 4),
                "catalogue_size": None,
                "max_steps_per_dispatch": 2,
                "seed": 0,
            },
        )
    )
    dispatches = [batches.dispatch(number) for number in range(batches.dispatches_per_epoch)]
    assert all(batch.targets.any(axis=(1, 2)).all() for batch in dispatches)
    lengths = [batch.targets.shape[-1] for batch in dispatches]
    assert set(lengths) == {3, 9, 10}
    # Not sorted by length, and in another order in the next epoch.
    assert lengths not in (sorted(lengths), sorted(lengths, reverse=True))
    again = [
        batches.dispatch(batches.dispatches_per_epoch + number).targets.shape[-1]
        for number in range(batches.dispatches_per_epoch)
    ]
    assert sorted(again) == sorted(lengths) and again != lengths


def test_without_enough_savings_all_timelines_share_one_shape(monkeypatch):
    timelines = numbered_timelines([3] * 10 + [40] * 8)
    options = long_case(0).options | {"shape": WindowShape(10, 4, 4)}

    def lengths() -> set[int]:
        batches = batches_of(Case(timelines, training_on_everything(timelines), options))
        return {
            batches.dispatch(number).targets.shape[-1]
            for number in range(batches.dispatches_per_epoch)
        }

    # Ten windows of 14 positions (length 10, overlap 4) or of 3.
    monkeypatch.setattr(buckets, "MIN_SAVED", 110)
    assert lengths() == {3, 10}
    monkeypatch.setattr(buckets, "MIN_SAVED", 111)
    assert lengths() == {10}


@given(case=random_cases())
def test_excluded_items_are_those_before_the_window(case):
    batches = batches_of(case)
    offsets = case.timelines.offsets
    for number in range(batches.dispatches_per_epoch):
        batch = batches.dispatch(number)
        if batch.excluded is None:
            assert case.options["catalogue_size"] is None
            continue
        all_items = np.arange(1, len(case.timelines.items) + 1)
        rows = batch.targets.reshape(-1, batch.targets.shape[-1])
        masks = excluded_mask(batch.excluded.reshape(len(rows), -1), all_items)
        for mask, targets in zip(masks, rows.tolist(), strict=True):
            trained = [target for target in targets if target != PAD]
            if not trained:
                continue
            start = offsets[case.timelines.users_of(np.array(trained[:1]) - 1)[0]]
            # All items before the window; the later ones have a column in it.
            excluded = np.flatnonzero(mask).tolist()
            assert excluded == list(range(start, start + len(excluded)))
            assert trained[-1] - 1 - len(targets) < start + len(excluded) <= trained[0] - 1


@given(case=random_cases(), data=st.data())
def test_a_dispatch_depends_on_the_seed_and_its_number_alone(case, data):
    batches = batches_of(case)
    count = 3 * batches.dispatches_per_epoch
    in_order = [batches.dispatch(number) for number in range(count)]
    order = data.draw(st.permutations(range(count)))
    fresh = batches_of(case)
    for number in order[:10]:
        for again in (fresh.dispatch(number), batches_of(case).dispatch(number)):
            np.testing.assert_array_equal(again.history[ITEM], in_order[number].history[ITEM])
            np.testing.assert_array_equal(again.targets, in_order[number].targets)
            np.testing.assert_array_equal(again.excluded, in_order[number].excluded)


def long_case(seed: int) -> Case:
    timelines = numbered_timelines([13, 20, 7, 31, 18] * 8)
    options = {
        "shape": WindowShape(length=5, overlap=2, batch_size=16),
        "catalogue_size": len(timelines.items),
        "max_steps_per_dispatch": 3,
        "seed": seed,
    }
    return Case(timelines, training_on_everything(timelines), options)


def as_windows(rows: list[Row]) -> Counter:
    return Counter(tuple(row.targets) for row in rows)


def test_epochs_differ_in_order_and_in_where_timelines_are_cut():
    batches = batches_of(long_case(0))
    windows = [as_windows(epoch_of(batches, epoch)) for epoch in (0, 1)]
    # Not merely shuffled: most windows of one epoch do not occur in the other.
    assert (windows[0] & windows[1]).total() < windows[0].total() / 2


def test_seeds_differ_and_windows_are_shuffled_over_all_users():
    first, second = (epoch_of(batches_of(long_case(seed))) for seed in (0, 1))
    same = [
        one.targets == other.targets
        for one, other in zip(first, second, strict=True)
        if any(one.targets) and any(other.targets)
    ]
    assert np.mean(same) < 0.1
    # The first batch mixes targets of early and late users: users 0 to 3 of 40 have 71 of the 712
    # targets.
    of_first_batch = targets_of(first[:16])
    assert sum(target > 71 for target in of_first_batch) > len(of_first_batch) / 2


@pytest.mark.parametrize("name", ["leave-one-out", "temporal", "random-pairs"])
def test_held_out_positions_are_never_targets(name: SplitName):
    lengths = [13, 20, 7, 31, 18]
    ids = [list(range(sum(lengths[:u]) + 1, sum(lengths[: u + 1]) + 1)) for u in range(5)]
    # Users are active at different times: some only before the cut, some only after it.
    clocks = [list(range(3 * u, 3 * u + length)) for u, length in enumerate(lengths)]
    timelines = timelines_of(ids, clocks)
    split = split_timelines(timelines, name, seed=0)
    options = long_case(0).options | {"shape": WindowShape(4, 2, 8)}
    batches = batches_of(Case(timelines, split, options))
    held_out = set((np.concatenate([split.validation, split.test]) + 1).tolist())
    for epoch in range(5):
        rows = epoch_of(batches, epoch)
        assert not held_out & set(targets_of(rows))
        # Histories hold only trained items too, except in the split that leaks.
        learned = set((np.flatnonzero(split.is_training_target) + 1).tolist())
        read = {item for row in rows for item in row.history}
        outside = read - {PAD} - learned
        assert outside <= (held_out if name == "random-pairs" else set())
        if name == "random-pairs":
            assert outside
