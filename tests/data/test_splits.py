"""Splits: training targets, held-out targets, and the absence of leaks between them."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxrec.data.splits import SplitName, split_timelines, train_on_validation
from jaxrec.data.timelines import Timelines
from jaxrec.errors import UserError
from tests.small_data import numbered_timelines, split_or_skip, timelines_of

lengths_of_users = st.lists(st.integers(1, 12), min_size=1, max_size=8)
times_of_users = st.lists(
    st.lists(st.integers(0, 30), min_size=1, max_size=12).map(sorted), min_size=1, max_size=8
)


def clocks(times: list[list[int]]) -> Timelines:
    return timelines_of([[1] * len(user_times) for user_times in times], times)


def test_leave_one_out_by_hand():
    # Users with one or two interactions are trained on, but not tested.
    split = split_timelines(numbered_timelines([4, 2, 3, 1]), "leave-one-out", seed=0)
    assert np.flatnonzero(split.is_training_target).tolist() == [0, 1, 4, 5, 6, 9]
    assert split.training_ends.tolist() == [2, 6, 7, 10]
    assert split.validation.tolist() == [2, 7]
    assert split.test.tolist() == [3, 8]


@given(lengths=lengths_of_users)
def test_leave_one_out_training_never_sees_a_users_last_two_items(lengths):
    timelines = numbered_timelines(lengths)
    split = split_or_skip(timelines, "leave-one-out")
    tested = iter(zip(split.validation.tolist(), split.test.tolist(), strict=True))
    for user, length in enumerate(lengths):
        start, end = timelines.offsets[user : user + 2].tolist()
        held_out = 2 if length >= 3 else 0
        if held_out:
            assert next(tested) == (end - 2, end - 1)
        assert split.training_ends[user] == end - held_out
        assert split.is_training_target[start : end - held_out].all()
        assert not split.is_training_target[end - held_out : end].any()
    assert next(tested, None) is None


def test_temporal_by_hand():
    # 20 moments: the cuts are at 16 and 18. Users with one activity have no history before it.
    split = split_timelines(
        clocks([[0, 1, 16, 17, 18, 19], list(range(2, 16))]), "temporal", seed=0
    )
    assert np.flatnonzero(split.is_training_target).tolist() == [0, 1, *range(6, 20)]
    assert split.training_ends.tolist() == [2, 20]
    assert split.validation.tolist() == [3]
    assert split.test.tolist() == [5]

    split = split_timelines(
        clocks([[0, 1, 16, 19], list(range(2, 16)), [17], [18]]), "temporal", seed=0
    )
    assert split.training_ends.tolist() == [2, 18, 18, 19]
    assert split.validation.tolist() == [2]
    assert split.test.tolist() == [3]


@given(times=times_of_users)
def test_temporal_cuts_every_user_at_the_same_two_moments(times):
    timelines = clocks(times)
    split = split_or_skip(timelines, "temporal")
    # Exactly the activities before the first cut are training targets.
    cut = timelines.timestamps[~split.is_training_target].min()
    np.testing.assert_array_equal(split.is_training_target, timelines.timestamps < cut)
    for user, user_times in enumerate(times):
        before = sum(time < cut for time in user_times)
        assert split.training_ends[user] == timelines.offsets[user] + before
    # For all users, the second cut separates validation from test.
    assert timelines.timestamps[split.validation].min() >= cut
    assert timelines.timestamps[split.validation].max() < timelines.timestamps[split.test].min()
    # The cuts are the 0.8 and the 0.9 quantile of the times, rounded up to an activity.
    n = len(timelines.items)
    assert (timelines.timestamps <= cut).sum() >= 0.8 * n
    assert split.is_training_target.sum() <= np.ceil(0.8 * n)


@given(times=times_of_users)
def test_temporal_targets_are_each_users_last_of_a_part_and_have_a_history(times):
    timelines = clocks(times)
    split = split_or_skip(timelines, "temporal")
    every = sorted(time for user_times in times for time in user_times)
    first, second = (every[math.ceil(share * (len(every) - 1))] for share in (0.8, 0.9))
    validation, test = [], []
    for start, user_times in zip(timelines.offsets.tolist(), times, strict=False):
        between = [i for i, time in enumerate(user_times) if first <= time < second]
        after = [i for i, time in enumerate(user_times) if time >= second]
        # The first activity of a user, position 0, has no history.
        validation += [start + i for i in between[-1:] if i > 0]
        test += [start + i for i in after[-1:] if i > 0]
    assert split.validation.tolist() == validation
    assert split.test.tolist() == test


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), seed=st.integers(0, 100))
def test_random_pairs_hold_a_tenth_out_and_every_held_out_target_has_a_history(lengths, seed):
    timelines = numbered_timelines(lengths)
    pairs = sum(lengths) - len(lengths)
    assume(pairs >= 20)
    split = split_timelines(timelines, "random-pairs", seed=seed)
    held_out = np.concatenate([split.validation, split.test])
    assert len(held_out) == pairs // 10
    assert len(split.validation) == -(-len(held_out) // 10)
    assert len(np.unique(held_out)) == len(held_out)
    assert not np.isin(held_out, timelines.offsets[:-1]).any()
    assert sorted(held_out.tolist()) == np.flatnonzero(~split.is_training_target).tolist()
    np.testing.assert_array_equal(split.training_ends, timelines.offsets[1:])


def test_random_pairs_follow_the_seed_and_are_spread_over_the_log():
    timelines = numbered_timelines([20] * 100)
    first, again, other = (split_timelines(timelines, "random-pairs", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.test, again.test)
    np.testing.assert_array_equal(first.validation, again.validation)
    assert set(first.test.tolist()) != set(other.test.tolist())
    # 171 of 1900 pairs: pairs are shuffled before the cut, so about half are in either half.
    assert len(first.test) == 171
    assert 60 < (first.test < 1000).sum() < 111
    assert 0 < (first.validation < 1000).sum() < len(first.validation)


def test_a_final_fit_by_hand():
    timelines = numbered_timelines([4, 2, 3])
    split = train_on_validation(timelines, split_timelines(timelines, "leave-one-out", seed=0))
    assert np.flatnonzero(split.is_training_target).tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert split.training_ends.tolist() == [3, 6, 8]
    assert split.validation.tolist() == [2, 7]
    assert split.test.tolist() == [3, 8]


@given(times=times_of_users, name=st.sampled_from(get_args(SplitName)))
def test_a_final_fit_trains_up_to_the_validation_targets_and_on_no_test_target(times, name):
    timelines = clocks(times)
    before = split_or_skip(timelines, name)
    after = train_on_validation(timelines, before)
    learned = before.is_training_target.copy()
    users = timelines.users_of(before.validation)
    for user, position in zip(users, before.validation, strict=True):
        learned[before.training_ends[user] : position + 1] = True
        assert after.training_ends[user] == max(before.training_ends[user], position + 1)
        learned[position] = True
    np.testing.assert_array_equal(after.is_training_target, learned)
    assert not after.is_training_target[after.test].any()
    np.testing.assert_array_equal(after.test, before.test)


def test_held_out_targets_of_one_kind_of_event_by_hand():
    #   user 0: v b v b v b v | user 1: b b v | user 2: v v b b b
    kinds = "vbvbvbv" + "bbv" + "vvbbb"
    is_target = np.array([kind == "b" for kind in kinds])
    timelines = numbered_timelines([7, 3, 5])
    split = split_timelines(timelines, "leave-one-out", seed=0, is_target=is_target)
    # User 1 has two targets: both are trained on.
    assert np.flatnonzero(split.is_training_target).tolist() == [1, 7, 8, 12]
    assert split.training_ends.tolist() == [3, 10, 13]
    assert split.validation.tolist() == [3, 13]
    assert split.test.tolist() == [5, 14]
    final = train_on_validation(timelines, split, is_target)
    assert np.flatnonzero(final.is_training_target).tolist() == [1, 3, 7, 8, 12, 13]
    assert final.training_ends.tolist() == [4, 10, 14]

    # 20 moments: the cuts are at 16 and 18.
    timelines = clocks([[0, 1, 16, 17, 18, 19], list(range(2, 16))])
    is_target = np.array([kind == "b" for kind in "vbbvbv" + "b" * 14])
    split = split_timelines(timelines, "temporal", seed=0, is_target=is_target)
    assert np.flatnonzero(split.is_training_target).tolist() == [1, *range(6, 20)]
    assert split.training_ends.tolist() == [2, 20]
    assert split.validation.tolist() == [2]
    assert split.test.tolist() == [4]
    final = train_on_validation(timelines, split, is_target)
    assert np.flatnonzero(final.is_training_target).tolist() == [1, 2, *range(6, 20)]


@st.composite
def masked_timelines(draw) -> tuple[Timelines, np.ndarray]:
    """Draw timelines and a mask of the activities that may be targets."""
    timelines = clocks(draw(times_of_users))
    n = len(timelines.items)
    return timelines, np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))


@given(world=masked_timelines(), name=st.sampled_from(get_args(SplitName)), final=st.booleans())
def test_all_parts_hold_targets_alone_and_training_ends_before_held_out_ones(world, name, final):
    timelines, is_target = world
    try:
        split = split_timelines(timelines, name, seed=0, is_target=is_target)
    except UserError:
        assume(False)
        raise
    if final:
        split = train_on_validation(timelines, split, is_target)
    for part in (np.flatnonzero(split.is_training_target), split.validation, split.test):
        assert is_target[part].all()
    held_out = split.test if final else np.concatenate([split.validation, split.test])
    assert not split.is_training_target[held_out].any()
    # Every held-out target has a history.
    assert not np.isin(held_out, timelines.offsets[:-1]).any()
    if name != "random-pairs":
        assert (split.training_ends[timelines.users_of(held_out)] <= held_out).all()
    positions = np.arange(len(is_target))
    users = timelines.users_of(positions)
    assert (positions < split.training_ends[users])[split.is_training_target].all()
    if name == "leave-one-out":
        # The held-out targets of a user come last, and all others are trained on.
        for user in range(len(timelines.lengths)):
            targets = positions[is_target & (users == user)].tolist()
            if len(targets) < 3:
                assert split.is_training_target[targets].all()
                assert not np.isin(targets, split.test).any()
            else:
                assert targets[-1] in split.test
                assert targets[-2] in split.validation
                assert split.is_training_target[targets[:-2]].all()


@given(times=times_of_users, name=st.sampled_from(get_args(SplitName)))
def test_a_full_target_mask_equals_no_mask(times, name):
    timelines = clocks(times)
    plain = split_or_skip(timelines, name, seed=3)
    every = np.ones(len(timelines.items), bool)
    chosen = split_timelines(timelines, name, seed=3, is_target=every)
    for ours, theirs in zip(vars(plain).values(), vars(chosen).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["leave-one-out", "temporal"])
def test_the_other_splits_do_not_depend_on_the_seed(name):
    timelines = clocks([list(range(0, 20)), list(range(5, 25))])
    one, other = (split_timelines(timelines, name, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.is_training_target, other.is_training_target)
    np.testing.assert_array_equal(one.test, other.test)


@pytest.mark.parametrize(
    ("name", "timelines"),
    [
        # No user has three interactions.
        ("leave-one-out", numbered_timelines([2, 1, 2])),
        # All activities have one timestamp, so none is before the cut.
        ("temporal", clocks([[7] * 10, [7] * 10])),
        # Users active after the cuts have no activity before them.
        ("temporal", clocks([[time] for time in range(20)])),
        # Nine pairs give no held-out pair, nineteen give one, used for validation.
        ("random-pairs", numbered_timelines([10])),
        ("random-pairs", numbered_timelines([20])),
    ],
    ids=["two-items", "one-moment", "strangers", "nine-pairs", "nineteen-pairs"],
)
def test_a_log_that_leaves_a_part_empty_is_refused(name, timelines):
    with pytest.raises(UserError, match=f"the {name} split of {len(timelines.lengths)} users"):
        split_timelines(timelines, name, seed=0)


def test_the_error_counts_the_targets_of_each_part():
    with pytest.raises(UserError) as error:
        split_timelines(numbered_timelines([2] * 600), "leave-one-out", seed=0)
    assert "leaves 1,200 targets for training, 0 for validation and 0 for the test" in str(
        error.value
    )
    assert "--split" in str(error.value)
