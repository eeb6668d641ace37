"""Batches: nothing is missed, nothing leaks, and any dispatch can be made again.

In these worlds every position has an item of its own, position + 1, so that an id in a batch says
which activity it is.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.config import SplitName
from jaxrec.data.batching import TrainingBatches, WindowShape, cut_windows
from jaxrec.data.splits import Split, split_timelines
from jaxrec.data.timelines import Timelines
from jaxrec.schema import ITEM, PAD
from tests.worlds import left_padded, numbered_timelines, timelines_of, training_on_everything

NOTHING = np.empty(0, np.int64)


class World(NamedTuple):
    timelines: Timelines
    split: Split
    options: dict


@st.composite
def problems(draw) -> World:
    """Draw timelines, any choice of training targets before any end, and sizes."""
    lengths = draw(st.lists(st.integers(1, 15), min_size=1, max_size=6))
    timelines = numbered_timelines(lengths)
    # At least one user trains on something.
    trained = [draw(st.integers(int(user == 0), length)) for user, length in enumerate(lengths)]
    is_training_target = np.zeros(sum(lengths), bool)
    for start, count in zip(timelines.offsets.tolist(), trained, strict=False):
        mask = draw(st.lists(st.booleans() | st.just(True), min_size=count, max_size=count))
        is_training_target[start : start + count] = mask
    is_training_target[0] = True
    training_ends = timelines.offsets[:-1] + np.array(trained)
    options = {
        "shape": WindowShape(
            draw(st.integers(1, 12)), draw(st.integers(0, 5)), draw(st.integers(1, 5))
        ),
        "seen_of": draw(st.sampled_from([None, sum(lengths)])),
        "max_steps_per_dispatch": draw(st.integers(1, 4)),
        "seed": draw(st.integers(0, 1000)),
    }
    return World(timelines, Split(is_training_target, training_ends, NOTHING, NOTHING), options)


def batches_of(world: World) -> TrainingBatches:
    return TrainingBatches(world.timelines, world.split, **world.options)


def sizes_of(world: World) -> tuple[int, int]:
    """Targets and lead-in of a window: as asked for, but no more than anything there is."""
    longest = int(max(world.split.training_ends - world.timelines.offsets[:-1]))
    length = min(world.options["shape"].length, longest)
    return length, min(world.options["shape"].lead_in, max(longest - 1 - length, 0))


def epoch_of(batches: TrainingBatches, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give the histories [W, L] and the targets of all windows of an epoch, in order."""
    first = number * batches.dispatches_per_epoch
    made = [batches.dispatch(first + i) for i in range(batches.dispatches_per_epoch)]
    histories = np.concatenate([batch.history[ITEM] for batch in made])
    targets = np.concatenate([batch.targets for batch in made])
    return histories.reshape(-1, histories.shape[-1]), targets.reshape(-1, targets.shape[-1])


@settings(max_examples=50, deadline=None)
@given(world=problems(), epoch=st.integers(0, 3))
def test_every_training_target_is_covered_and_no_other(world, epoch):
    batches = batches_of(world)
    _, targets = epoch_of(batches, epoch)
    expected = np.flatnonzero(world.split.is_training_target) + 1
    assert set(targets[targets != PAD].tolist()) == set(expected.tolist())
    assert batches.targets_per_epoch == len(expected)


@settings(max_examples=50, deadline=None)
@given(world=problems())
def test_the_history_of_a_target_is_what_came_before_it_from_the_lead_in_on(world):
    histories, targets = epoch_of(batches_of(world))
    (window, lead_in), asked_lead_in = sizes_of(world), world.options["shape"].lead_in
    for history, row in zip(histories.tolist(), targets.tolist(), strict=True):
        for column, target in enumerate(row):
            if target == PAD:
                continue
            start = world.timelines.offsets[world.timelines.users_of(np.array([target - 1]))[0]]
            before = list(range(start + 1, target))
            # A prediction at a column sees the history up to and with this column.
            length = lead_in + column + 1
            assert history[:length] == left_padded(before, length)
            # Where the lead-in was cut, nothing was lost.
            assert len(before) <= length or lead_in == asked_lead_in
        assert len(history) == lead_in + window


@settings(max_examples=40, deadline=None)
@given(world=problems())
def test_all_dispatches_have_one_shape_within_the_limit(world):
    batches = batches_of(world)
    (length, lead_in), size = sizes_of(world), world.options["shape"].batch_size
    steps = batches.steps_per_dispatch
    assert 1 <= steps <= world.options["max_steps_per_dispatch"]
    assert batches.steps_per_epoch == steps * batches.dispatches_per_epoch
    # No more dispatches than the limit on steps asks for, and less than one step of each is fill.
    trained = world.split.training_ends - world.timelines.offsets[:-1]
    windows = sum(count // length + 1 for count in trained.tolist() if count)
    needed = -(-windows // size)
    assert batches.dispatches_per_epoch == -(-needed // world.options["max_steps_per_dispatch"])
    assert 0 <= batches.steps_per_epoch - needed < batches.dispatches_per_epoch
    for number in range(2 * batches.dispatches_per_epoch + 1):
        made = batches.dispatch(number)
        assert made.history[ITEM].shape == (steps, size, length + lead_in)
        assert made.history[ITEM].dtype == made.targets.dtype == np.int32
        assert made.targets.shape == (steps, size, length)
        np.testing.assert_array_equal(made.weights, made.targets != PAD)


@settings(max_examples=50, deadline=None)
@given(world=problems())
def test_what_was_seen_is_what_came_before_the_first_target_of_a_window(world):
    batches = batches_of(world)
    offsets, window = world.timelines.offsets, sizes_of(world)[0]
    for number in range(batches.dispatches_per_epoch):
        made = batches.dispatch(number)
        if made.seen is None:
            assert world.options["seen_of"] is None
            continue
        size = len(world.timelines.items)
        assert made.seen.dtype == np.uint8
        seen = np.unpackbits(made.seen, axis=-1, count=size + 1, bitorder="little")
        # Where the last column has no target, the activity that would be one is not known here.
        last = made.targets[..., -1].ravel()
        for bits, target in zip(seen.reshape(-1, size + 1), last.tolist(), strict=True):
            if target == PAD:
                continue
            start = offsets[world.timelines.users_of(np.array([target - 1]))[0]]
            first_target = max(start, target - window)
            assert (np.flatnonzero(bits) - 1).tolist() == list(range(start, first_target))


@settings(max_examples=40, deadline=None)
@given(world=problems(), data=st.data())
def test_a_dispatch_follows_from_the_seed_and_its_number_alone(world, data):
    batches = batches_of(world)
    count = 3 * batches.dispatches_per_epoch
    in_order = [batches.dispatch(number) for number in range(count)]
    order = data.draw(st.permutations(range(count)))
    fresh = batches_of(world)
    for number in order[:10]:
        for again in (fresh.dispatch(number), batches_of(world).dispatch(number)):
            np.testing.assert_array_equal(again.history[ITEM], in_order[number].history[ITEM])
            np.testing.assert_array_equal(again.targets, in_order[number].targets)
            np.testing.assert_array_equal(again.seen, in_order[number].seen)


def long_world(seed: int) -> World:
    timelines = numbered_timelines([13, 20, 7, 31, 18] * 8)
    options = {
        "shape": WindowShape(length=5, lead_in=2, batch_size=16),
        "seen_of": len(timelines.items),
        "max_steps_per_dispatch": 3,
        "seed": seed,
    }
    return World(timelines, training_on_everything(timelines), options)


def as_windows(targets: np.ndarray) -> Counter:
    return Counter(map(tuple, targets.tolist()))


def test_epochs_differ_in_order_and_in_where_timelines_are_cut():
    batches = batches_of(long_world(0))
    windows = [as_windows(epoch_of(batches, epoch)[1]) for epoch in (0, 1)]
    # Not only shuffled: most windows of one epoch are no windows of the other.
    assert len(windows[0] & windows[1]) < len(windows[0]) / 2


def test_seeds_differ_and_windows_are_shuffled_over_all_users():
    first, second = (epoch_of(batches_of(long_world(seed)))[1] for seed in (0, 1))
    assert (first != second).any(axis=tuple(range(1, first.ndim))).mean() > 0.9
    # The first batch holds a share of the early users' targets, not them alone: users 0 to 3 of 40
    # have 71 of 712.
    of_first_batch = np.unique(first[:16])
    assert (of_first_batch > 71).sum() > len(of_first_batch) / 2


@pytest.mark.parametrize("name", ["leave-one-out", "temporal", "random-pairs"])
def test_held_out_positions_are_never_targets(name: SplitName):
    lengths = [13, 20, 7, 31, 18]
    ids = [list(range(sum(lengths[:u]) + 1, sum(lengths[: u + 1]) + 1)) for u in range(5)]
    # Users come and go: some of them act only before the cut, some only after it.
    clocks = [list(range(3 * u, 3 * u + length)) for u, length in enumerate(lengths)]
    timelines = timelines_of(ids, clocks)
    split = split_timelines(timelines, name, seed=0)
    options = long_world(0).options | {"shape": WindowShape(4, 2, 8)}
    batches = batches_of(World(timelines, split, options))
    held_out = set((np.concatenate([split.validation, split.test]) + 1).tolist())
    for epoch in range(5):
        histories, targets = epoch_of(batches, epoch)
        assert not held_out & set(targets.ravel().tolist())
        # Neither do histories hold anything that is not learned from, but where the split leaks.
        learned = set((np.flatnonzero(split.is_training_target) + 1).tolist())
        outside = set(histories.ravel().tolist()) - {PAD} - learned
        assert outside <= (held_out if name == "random-pairs" else set())
        if name == "random-pairs":
            assert outside


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    length=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_windows_cover_a_slice_without_gap_at_any_phase(lengths, length, seed):
    starts = np.arange(len(lengths)) * 100
    ends = starts + np.array(lengths)
    owners, window_ends = cut_windows(starts, ends, length, np.random.default_rng(seed))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        own = window_ends[owners == start].tolist()
        assert len(own) == ((end - start) // length + 1 if end > start else 0)
        if not own:
            continue
        # Each begins where the one before it ended, or overlaps it; only the last may be cut short.
        assert 0 < own[0] - start <= length
        assert own[-1] == end
        steps = np.diff(own)
        assert (steps <= length).all()
        # The last may be a copy of the one before it, where windows of N fit exactly.
        assert (steps[:-1] > 0).all()
        assert (steps >= 0).all()


def test_every_phase_is_as_likely_as_another():
    # 12 activities in windows of 5: three windows, 3 to spare, so four phases.
    starts = np.zeros(4000, np.int64)
    _, ends = cut_windows(starts, starts + 12, 5, np.random.default_rng(0))
    first = Counter(ends.reshape(4000, 3)[:, 0].tolist())
    assert first.keys() == {5, 4, 3, 2}
    assert all(900 < count < 1100 for count in first.values())
