"""Softmax loss: values computed by hand, the reference implementation, and negative samplers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.training import softmax
from jaxrec.training.negatives import all_items, from_batch, log_uniform, uniform
from jaxrec.training.softmax import (
    LogitFactors,
    SoftmaxLabels,
    reference_softmax_loss,
    softmax_loss,
)

each_implementation = pytest.mark.parametrize("loss", [softmax_loss, reference_softmax_loss])

TABLE = jnp.array([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
BIAS = jnp.array([-1e9, 0.0, 0.5, -0.5])
# Two positions of one window.
QUERY = jnp.array([[[2.0, 1.0]], [[0.0, -1.0]]])
TARGETS = jnp.array([[1], [3]])
# query @ table + bias: 2, 1.5, 2.5 and 0, -0.5, -1.5.
BY_HAND = [
    np.log(np.exp(2) + np.exp(1.5) + np.exp(2.5)) - 2,
    np.log(np.exp(0) + np.exp(-0.5) + np.exp(-1.5)) + 1.5,
]


def factors_of(query, targets, table, bias, candidates) -> LogitFactors:
    """Gather the factors of the logits, and correct candidates by their log-expected counts."""
    ids, log_expected, _ = candidates
    return LogitFactors(query, table[targets], bias[targets], table[ids], bias[ids] - log_expected)


def labels_of(targets, candidates, excluded=None, weights=None) -> SoftmaxLabels:
    if weights is None:
        weights = (targets != 0).astype(jnp.float32)
    return SoftmaxLabels(targets, weights, candidates[0], excluded)


def problem(targets=TARGETS, candidates=None, excluded=None, weights=None):
    """Build a problem of two positions of one window, by default full softmax and equal weights."""
    candidates = all_items(3) if candidates is None else candidates
    labels = labels_of(targets, candidates, excluded, weights)
    return factors_of(QUERY, targets, TABLE, BIAS, candidates), labels


@each_implementation
def test_full_softmax_matches_values_computed_by_hand(loss):
    np.testing.assert_allclose(loss(*problem()), np.mean(BY_HAND), rtol=1e-6)


@each_implementation
def test_positions_without_a_target_are_excluded_from_the_mean(loss):
    np.testing.assert_allclose(loss(*problem(TARGETS.at[0].set(0))), BY_HAND[1], rtol=1e-6)


@each_implementation
@pytest.mark.parametrize("weights", [(3.0, 1.0), (0.2, 0.2), (0.0, 0.5), (1e-6, 3e-6)])
def test_the_loss_is_the_weighted_mean(loss, weights):
    """Check relative weights such as 3:1, and very small weights."""
    value = loss(*problem(weights=jnp.array(weights)[:, None]))
    np.testing.assert_allclose(value, np.average(BY_HAND, weights=weights), rtol=1e-6)


@each_implementation
def test_the_loss_is_zero_if_all_weights_are_zero(loss):
    assert loss(*problem(jnp.zeros_like(TARGETS))) == 0


@each_implementation
def test_sampled_softmax_matches_values_computed_by_hand(loss):
    # Negatives 2 and 3, with expected counts 2 and 0.5: 3 is the second target, thus excluded.
    candidates = jnp.array([2, 3]), jnp.log(jnp.array([2.0, 0.5])), None
    expected = [
        np.log(np.exp(2) + np.exp(1.5) / 2 + np.exp(2.5) / 0.5) - 2,
        np.log(np.exp(-1.5) + np.exp(-0.5) / 2) + 1.5,
    ]
    value = loss(*problem(candidates=candidates))
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-6)


@each_implementation
def test_seen_items_and_previous_targets_are_excluded(loss):
    """Exclude item 3, seen before the first target, and item 1, the target before the second."""
    excluded = jnp.array([[False, False, False, True]])
    expected = [np.log(np.exp(2) + np.exp(1.5)) - 2, np.log(np.exp(-0.5) + np.exp(-1.5)) + 1.5]
    np.testing.assert_allclose(loss(*problem(excluded=excluded)), np.mean(expected), rtol=1e-6)


@each_implementation
@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5, 1.0])
def test_the_loss_with_a_teacher_mixes_hard_and_soft_targets(loss, weight):
    """Use a teacher that assigns item 2 a probability of almost one at both positions."""
    factors, labels = problem()
    labels = labels._replace(teacher_weight=weight)
    teacher = factors._replace(candidate_bias_S=jnp.array([-1e9, 0.0, 90.0, 0.0]))
    # -log softmax of item 2 where the logits are 1.5 of 2, 1.5, 2.5, and -0.5 of 0, -0.5, -1.5.
    of_item_2 = np.mean([BY_HAND[0] + 2 - 1.5, BY_HAND[1] - 1.5 + 0.5])
    expected = (1 - weight) * np.mean(BY_HAND) + weight * of_item_2
    np.testing.assert_allclose(loss(factors, labels, teacher), expected, rtol=1e-6)


WIDTH, ROWS, SIZE, NEGATIVES = 3, 2, 11, 7


def random_problem(seed: int, *, sampled: bool, excludes: bool):
    """Generate a random problem, with some targets missing, and the factors of a teacher."""
    keys = jax.random.split(jax.random.key(seed), 5)
    targets = jax.random.randint(keys[0], (WIDTH, ROWS), 0, SIZE + 1)
    candidates = uniform(keys[1], NEGATIVES, SIZE) if sampled else all_items(SIZE)
    excluded = jax.random.bernoulli(keys[2], 0.3, (ROWS, len(candidates.ids_S)))
    weights = jnp.where(targets > 0, jax.random.uniform(keys[3], targets.shape), 0)

    def factors(key, width: int) -> LogitFactors:
        keys = jax.random.split(key, 3)
        query = 2 * jax.random.normal(keys[0], (WIDTH, ROWS, width))
        table = jax.random.normal(keys[1], (SIZE + 1, width))
        bias = jax.random.normal(keys[2], (SIZE + 1,)).at[0].set(-1e9)
        return factors_of(query, targets, table, bias, candidates)

    student, teacher = jax.random.split(keys[4])
    labels = labels_of(targets, candidates, excluded if excludes else None, weights)
    return factors(student, 5), labels, factors(teacher, 3)


@partial(jax.jit, static_argnums=0)
def value_and_gradients(loss, factors, labels, teacher=None):
    return jax.value_and_grad(loss)(factors, labels, teacher)


def require_equal(found, expected):
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
    for gradient, expected_gradient in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


@given(
    seed=st.integers(0, 10_000),
    sampled=st.booleans(),
    excludes=st.booleans(),
    is_taught=st.booleans(),
    weight=st.floats(0, 1, width=32),
)
def test_the_tiled_kernel_matches_the_reference(seed, sampled, excludes, is_taught, weight):
    """Check the value, and the hand-written gradient against automatic differentiation."""
    factors, labels, teacher = random_problem(seed, sampled=sampled, excludes=excludes)
    labels = labels._replace(teacher_weight=weight)
    arguments = (factors, labels, *([teacher] if is_taught else []))
    require_equal(
        value_and_gradients(softmax_loss, *arguments),
        value_and_gradients(reference_softmax_loss, *arguments),
    )


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
def test_the_tile_size_does_not_change_the_result(monkeypatch, rows):
    arguments = random_problem(0, sampled=False, excludes=True)
    monkeypatch.setattr(softmax, "TILE_ROWS", rows)
    require_equal(
        jax.value_and_grad(softmax_loss)(*arguments),
        value_and_gradients(reference_softmax_loss, *arguments),
    )


@each_implementation
def test_the_gradient_is_finite_if_every_negative_is_the_target(loss):
    factors, labels, _ = random_problem(0, sampled=True, excludes=False)
    labels = labels._replace(
        targets_WB=jnp.full((WIDTH, ROWS), 3), candidates_S=jnp.full(NEGATIVES, 3)
    )
    value, gradients = jax.value_and_grad(loss)(factors, labels)
    assert value == 0
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=1e-7)


def test_sampling_every_item_once_equals_full_softmax():
    """Check that no estimation error remains; PAD is not a candidate."""
    factors, labels, _ = random_problem(1, sampled=False, excludes=False)
    once = factors._replace(
        candidates_SD=factors.candidates_SD[1:], candidate_bias_S=factors.candidate_bias_S[1:]
    )
    found = softmax_loss(once, labels._replace(candidates_S=labels.candidates_S[1:]))
    np.testing.assert_allclose(found, softmax_loss(factors, labels), rtol=1e-6)


@pytest.mark.parametrize("sampler", [uniform, log_uniform])
def test_sampling_frequencies_match_the_expected_counts(sampler):
    size, count = 20, 200_000
    ids, log_expected, _ = sampler(jax.random.key(1), count, size)
    counts = np.bincount(ids, minlength=size + 1)
    assert counts[0] == 0
    assert len(counts) == size + 1
    expected = np.zeros(size + 1)
    expected[np.asarray(ids)] = np.exp(log_expected)
    np.testing.assert_allclose(counts, expected, rtol=0.06, atol=1)
    assert expected.sum() == pytest.approx(count, rel=1e-3)


def test_log_uniform_prefers_small_ids():
    ids, *_ = log_uniform(jax.random.key(0), 10_000, 1000)
    counts = np.bincount(ids, minlength=1001)
    # The probability of id 1 is log(2) / log(1001).
    assert counts[1] == pytest.approx(10_000 * np.log(2) / np.log(1001), rel=0.1)


def test_batch_negatives_follow_the_popularity_of_targets():
    targets = jnp.array([1, 1, 1, 2, 0, 0])
    log_popularity = jnp.log(jnp.array([1.0, 0.75, 0.25]))
    ids, log_expected, _ = from_batch(jax.random.key(0), 1000, targets, log_popularity)
    counts = np.bincount(ids, minlength=3)
    assert counts[1] > counts[2] > 0
    share = np.exp(np.asarray(log_expected))[np.asarray(ids) == 1][0] / (counts[1] + counts[2])
    assert share == pytest.approx(0.75, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [uniform, log_uniform])
def test_sampled_softmax_is_an_unbiased_estimate_of_the_partition_sum(sampler):
    """Check the mean of exp(loss) over draws: exp(loss) is linear in the sum over negatives."""
    size, count, draws = 50, 16, 3000
    keys = jax.random.split(jax.random.key(3), 3)
    query, target = jax.random.normal(keys[0], (1, 1, 5)), jnp.array([[7]])
    table = jax.random.normal(keys[1], (size + 1, 5))
    bias = jax.random.normal(keys[2], (size + 1,)).at[0].set(-1e9)

    def estimate(candidates):
        factors = factors_of(query, target, table, bias, candidates)
        return jnp.exp(softmax_loss(factors, labels_of(target, candidates)))

    estimates = jax.vmap(lambda key: estimate(sampler(key, count, size)))(
        jax.random.split(jax.random.key(5), draws)
    )
    exact = estimate(all_items(size))
    assert jnp.abs(estimates.mean() - exact) < 5 * jnp.std(estimates) / jnp.sqrt(draws)
