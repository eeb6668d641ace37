"""Cohorts and their windows: drawn by seed and round, of training targets alone."""

from collections import Counter

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.data.splits import split_timelines
from jaxrec.data.windowing import WindowShape
from jaxrec.errors import UserError
from jaxrec.federated.averaging import round_keys
from jaxrec.federated.cohorts import (
    CLIENTS_PER_CHUNK,
    Clients,
    draw_cohort,
    make_clients,
    padded_cohort_size,
)
from jaxrec.schema import ITEM
from tests.federated.small_rounds import DATASET
from tests.small_data import timelines_of


def test_cohorts_are_drawn_by_seed_and_round():
    def cohorts(seed):
        return [draw_cohort(round_keys(seed, n).cohort, 200, 30).tolist() for n in range(400)]

    drawn = cohorts(0)
    assert drawn == cohorts(0)
    assert drawn[0] != drawn[1] and drawn[0] != cohorts(1)[0]
    sizes = np.array([len(cohort) for cohort in drawn])
    deviation = np.sqrt(200 * 0.15 * 0.85)
    assert abs(sizes.mean() - 30) < 4 * deviation / np.sqrt(400)
    assert sizes.std() == pytest.approx(deviation, rel=0.2)
    # All users are drawn equally frequent_checkpoints.
    counts = np.bincount(np.concatenate(drawn), minlength=200)
    assert abs(counts - 60).max() < 6 * np.sqrt(400 * 0.15 * 0.85)
    assert draw_cohort(round_keys(0, 0).cohort, 50, 50).tolist() == list(range(50))


@given(st.integers(1, 5000), st.data())
def test_the_padded_size_holds_every_cohort(population, data):
    expected = data.draw(st.integers(1, population))
    cohort = data.draw(st.integers(0, population))
    size, default_size = (padded_cohort_size(size, population, expected) for size in (cohort, 0))
    assert size >= cohort and size % CLIENTS_PER_CHUNK == 0
    # The usual size covers six standard deviations; only larger cohorts have another one.
    deviation = np.sqrt(expected * (1 - expected / population))
    assert size == default_size or cohort > expected + 6 * deviation


def test_windows_hold_training_targets_alone_with_equal_frequency():
    lengths = [9, 3, 30, 4]
    ends = np.cumsum(lengths)
    # Every position has its own item.
    timelines = timelines_of(
        [range(end - length + 1, end + 1) for length, end in zip(lengths, ends, strict=True)]
    )
    split = split_timelines(timelines, "leave-one-out", seed=0)
    clients = Clients(timelines, split, np.arange(4), WindowShape(5, 2, 1), 400, 46)
    cohort = np.array([2, 0, -1, 1, 3, 2, 0, 1], np.int32)
    batches = clients.gather(cohort, jax.random.key(0))
    learned = set((np.flatnonzero(split.is_training_target) + 1).tolist())
    for row, client in enumerate(cohort):
        targets, history = batches.targets[row, :, 0], batches.history[ITEM][row, :, 0]
        items = range(ends[client] - lengths[client] + 1, ends[client] - 1)
        counts = Counter(targets[targets > 0].tolist())
        if client < 0:
            assert not counts and not history.any()
            continue
        assert set(counts) == learned & set(items) and set(history.reshape(-1)) <= {0, *items}
        # Windows end at any of T + W - 1 positions; W of these windows contain a given target.
        share = 5 / (len(items) + 4)
        deviation = np.sqrt(400 * share * (1 - share))
        assert all(abs(count - 400 * share) <= 5 * deviation for count in counts.values())
        # The column before a target holds the preceding item.
        is_there = (targets[:, 1:] > 0) & (history[:, 1 - targets.shape[1] :] > 0)
        np.testing.assert_array_equal((history[:, -4:] + 1)[is_there], targets[:, 1:][is_there])


def test_more_clients_than_users_are_refused():
    timelines, split = DATASET.timelines, DATASET.split
    with pytest.raises(UserError, match="--clients=8 is more than the 7 users"):
        make_clients(
            timelines, split, WindowShape(4, 2, 1), expected=8, steps=1, catalogue_size=None
        )
