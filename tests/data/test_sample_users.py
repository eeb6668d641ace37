"""Samples of the users that are evaluated."""

from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.splits import SplitName, sample_users, split_timelines
from tests.small_data import numbered_timelines, split_or_skip


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    count=st.integers(1, 9),
    name=st.sampled_from(get_args(SplitName)),
)
def test_sampling_users_keeps_the_training_targets(lengths, count, name):
    timelines = numbered_timelines(lengths)
    split = split_or_skip(timelines, name)
    drawn = sample_users(timelines, split, seed=1, validation=None, test=count)
    np.testing.assert_array_equal(drawn.is_training_target, split.is_training_target)
    np.testing.assert_array_equal(drawn.validation, split.validation)
    owners = timelines.users_of(split.test)
    chosen = np.unique(timelines.users_of(drawn.test))
    assert len(chosen) == min(count, len(np.unique(owners)))
    np.testing.assert_array_equal(drawn.test, split.test[np.isin(owners, chosen)])


def test_another_seed_samples_other_users():
    timelines = numbered_timelines([4] * 50)
    split = split_timelines(timelines, "leave-one-out", seed=0)
    first, again, other = (
        sample_users(timelines, split, seed=seed, validation=10, test=None) for seed in (0, 0, 1)
    )
    assert first.validation.tolist() == again.validation.tolist() != other.validation.tolist()
    assert len(first.validation) == 10 and len(first.test) == 50
