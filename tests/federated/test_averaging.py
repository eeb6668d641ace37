"""Federated rounds: client updates, their average, and the noise."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.federated import averaging
from jaxrec.federated.averaging import add_noise, init_server_state, round_keys
from jaxrec.federated.cohorts import CLIENTS_PER_CHUNK
from jaxrec.federated.sharing import split_params
from jaxrec.training.sparse_rows import item_tables
from jaxrec.training.windows import training_batches
from tests.federated.small_rounds import (
    CLIENTS,
    CONFIG,
    DATASET,
    LOOSE,
    OBJECTIVE,
    PARAMS,
    SHARE_ALL,
    arrays_by_name,
    assert_params_equal,
    changes,
    make_cohort,
    run_round,
)


def test_one_client_with_all_data_and_one_step_is_a_central_step():
    batch = jax.tree.map(
        lambda each: jnp.asarray(each[0]),
        training_batches(DATASET, CONFIG.data, CONFIG.train).dispatch(0),
    )
    assert np.count_nonzero(batch.targets) == DATASET.split.is_training_target.sum()
    padding = CLIENTS_PER_CHUNK - 1
    batches = jax.tree.map(
        lambda each: np.pad(each[None, None], [(0, padding), *[(0, 0)] * (each.ndim + 1)]), batch
    )
    config = replace(SHARE_ALL, clients=1, local_steps=1)
    ours, metrics = run_round(config, make_cohort(0), batches)
    # This step has no randomness: no dropout, no negatives, no features.
    value, slopes = jax.jit(jax.value_and_grad(OBJECTIVE))(PARAMS, batch, jax.random.key(5))
    theirs = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, PARAMS, slopes)
    assert_params_equal(ours, theirs, atol=1e-6)
    assert float(metrics.loss) == pytest.approx(float(value), rel=1e-5)
    assert int(metrics.clients) == 1 and int(metrics.clipped) == 0
    assert max(np.abs(leaf).max() for leaf in changes(ours).values()) > 1e-3


@pytest.mark.slow
def test_separate_clients_and_a_server_compute_the_same_round():
    config = replace(LOOSE, clip_norm=0.01, noise_multiplier=0.5)
    state, keys = init_server_state(PARAMS, config), round_keys(config.seed, 0)
    shared, kept = split_params(PARAMS, config.shared_parameters)
    updates, clipped_updates = [], 0
    for number in range(7):
        client = replace(CLIENTS, users=CLIENTS.users[[number]], first=number)
        windows = client.gather(np.array([number], np.int32), keys.windows)
        windows_of_client = jax.tree.map(lambda each: each[0], windows)
        update, metrics = averaging.client_update(
            OBJECTIVE, shared, kept, keys.learning, config, jnp.int32(number), windows_of_client
        )
        assert metrics.clients == 1 and metrics.excluded == 0
        updates.append(update)
        clipped_updates += int(metrics.clipped)
    assert 0 < clipped_updates < 7
    summed = jax.tree.map(lambda *each: sum(each), *updates)
    ours = averaging.server_update(state, summed, keys.noise, config, 0.5)
    theirs, _ = run_round(config, make_cohort(*range(7)), noise=0.5)
    assert_params_equal(ours.params, theirs, atol=1e-6)
    assert ours.step == 1


def test_the_average_does_not_depend_on_the_order_of_the_clients():
    ours, metrics = run_round(LOOSE, make_cohort(*range(7)))
    theirs, _ = run_round(LOOSE, make_cohort(4, 2, 6, 0, 1, 5, 3))
    assert_params_equal(ours, theirs, atol=1e-6)
    # Nor on empty places of the padded cohort.
    from_larger_cohort, _ = run_round(LOOSE, np.append(make_cohort(), make_cohort(*range(7))))
    assert_params_equal(ours, from_larger_cohort, atol=1e-6)
    assert int(metrics.clients) == 7 and int(metrics.targets) > 0


def test_the_sum_of_updates_is_divided_by_the_expected_number_of_clients():
    config = replace(LOOSE, clients=5)
    whole = changes(run_round(config, make_cohort(1, 4))[0])
    parts = [changes(run_round(config, make_cohort(client))[0]) for client in (1, 4)]
    for name, leaf in whole.items():
        np.testing.assert_allclose(leaf, parts[0][name] + parts[1][name], atol=1e-6)
    halved = changes(run_round(replace(LOOSE, clients=10), make_cohort(1, 4))[0])
    for name, leaf in whole.items():
        np.testing.assert_allclose(leaf, 2 * halved[name], atol=1e-6)


@pytest.mark.parametrize(("weight", "excluded"), [(np.nan, 1), (-1e30, 0)])
def test_the_influence_of_a_hostile_client_is_bounded(weight, excluded):
    config, cohort = replace(LOOSE, clip_norm=0.01, clients=2), make_cohort(3, 4)
    batches = CLIENTS.gather(cohort, round_keys(0, 0).windows)
    batches.weights[0] = np.where(batches.weights[0] > 0, np.float32(weight), 0)
    both, metrics = run_round(config, cohort, batches)
    assert (int(metrics.clients), int(metrics.excluded)) == (2, excluded)
    assert np.isfinite(float(metrics.loss)) or not excluded
    cohort[0] = -1
    honest = changes(run_round(config, cohort, batches)[0])
    squares = [np.square(leaf - honest[name]).sum() for name, leaf in changes(both).items()]
    # Half of the clip norm, because two clients are expected.
    assert np.sqrt(sum(squares)) == pytest.approx(0.005 * (1 - excluded), abs=1e-6)


def test_noise_has_the_accounted_standard_deviation():
    noised = add_noise({"a": jnp.zeros(20_000), "b": jnp.ones((200, 100))}, jax.random.key(3), 0.7)
    a, b = np.asarray(noised["a"]), np.asarray(noised["b"]).reshape(-1) - 1
    for each in (a, b):
        # Five standard errors.
        assert abs(each.mean()) < 5 * 0.7 / np.sqrt(20_000)
        assert each.std() == pytest.approx(0.7, rel=5 / np.sqrt(40_000))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(20_000)

    # Noise is added to the sum, which is divided by the expected number of clients: 3 * 100 / 7.
    quiet, loud = (run_round(LOOSE, make_cohort(1, 2), noise=noise)[0] for noise in (0.0, 3.0))
    shared = set(arrays_by_name(PARAMS)) - set(item_tables(PARAMS))
    added = np.concatenate(
        [(arrays_by_name(loud)[n] - arrays_by_name(quiet)[n]).reshape(-1) for n in shared]
    )
    assert added.std() == pytest.approx(300 / 7, rel=5 / np.sqrt(2 * added.size))
    assert_params_equal(run_round(LOOSE, make_cohort(1, 2), noise=3.0)[0], loud, rtol=0)
    for name, table in item_tables(PARAMS).items():
        assert arrays_by_name(loud)[name].tobytes() == np.asarray(table).tobytes()
