"""Losses: values by hand, and what sampled softmax must share with full softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.training import losses
from jaxrec.training.losses import TEACHER_SHARE, Rows, softmax_loss
from jaxrec.training.negatives import Negatives, everything, from_batch, log_uniform, uniform

TABLE = jnp.array([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
BIAS = jnp.array([-1e9, 0.0, 0.5, -0.5])
# Two positions of one window.
CONTEXT = jnp.array([[[2.0, 1.0]], [[0.0, -1.0]]])
TARGETS = jnp.array([[1], [3]])
# context @ table + bias: 2, 1.5, 2.5 and 0, -0.5, -1.5.
BY_HAND = [
    np.log(np.exp(2) + np.exp(1.5) + np.exp(2.5)) - 2,
    np.log(np.exp(0) + np.exp(-0.5) + np.exp(-1.5)) + 1.5,
]


def sampled_softmax(context, targets, table, bias, ids, log_expected, left_out):
    """Look up, and count every target alike."""
    negatives = Negatives(ids, log_expected)
    weights = (targets != 0).astype(jnp.float32)
    rows = Rows({}, table[targets], bias[targets], negatives, table[ids], bias[ids])
    return softmax_loss(context, rows, targets, weights, left_out)


def full_softmax(context, targets, table, bias, left_out):
    return sampled_softmax(context, targets, table, bias, *everything(table.shape[0])[:2], left_out)


def test_full_softmax_by_hand():
    loss = full_softmax(CONTEXT, TARGETS, TABLE, BIAS, None)
    np.testing.assert_allclose(loss, np.mean(BY_HAND), rtol=1e-6)


def test_a_position_without_a_target_has_no_part_in_the_mean():
    loss = full_softmax(CONTEXT, TARGETS.at[0].set(0), TABLE, BIAS, None)
    np.testing.assert_allclose(loss, BY_HAND[1], rtol=1e-6)


@pytest.mark.parametrize("weights", [(3.0, 1.0), (0.2, 0.2), (0.0, 0.5), (1e-6, 3e-6)])
def test_the_loss_is_the_mean_by_weight(weights):
    """Three times the first target and once the second; small weights are weights too."""
    rows = Rows({}, TABLE[TARGETS], BIAS[TARGETS], everything(4), TABLE, BIAS)
    loss = softmax_loss(CONTEXT, rows, TARGETS, jnp.array(weights)[:, None], None)
    np.testing.assert_allclose(loss, np.average(BY_HAND, weights=weights), rtol=1e-6)


def test_the_loss_is_zero_if_nothing_has_a_weight():
    loss = full_softmax(CONTEXT, jnp.zeros_like(TARGETS), TABLE, BIAS, None)
    assert loss == 0


def test_sampled_softmax_by_hand():
    # Negatives 2 and 3, expected two and one half times: 3 is the second target and falls out.
    loss = sampled_softmax(
        CONTEXT, TARGETS, TABLE, BIAS, jnp.array([2, 3]), jnp.log(jnp.array([2.0, 0.5])), None
    )
    expected = [
        np.log(np.exp(2) + np.exp(1.5) / 2 + np.exp(2.5) / 0.5) - 2,
        np.log(np.exp(-1.5) + np.exp(-0.5) / 2) + 1.5,
    ]
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-6)


def test_neither_what_was_seen_competes_nor_a_target_once_it_was_met():
    """Item 3 was seen before the first target, 1, which is gone when 3 is the second."""
    seen = jnp.array([[False, False, False, True]])
    expected = [np.log(np.exp(2) + np.exp(1.5)) - 2, np.log(np.exp(-0.5) + np.exp(-1.5)) + 1.5]
    loss = full_softmax(CONTEXT, TARGETS, TABLE, BIAS, seen)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-6)


def random_problem(seed: int, size: int, width: int = 5):
    keys = jax.random.split(jax.random.key(seed), 4)
    return (
        jax.random.normal(keys[0], (3, 2, width)),
        jax.random.randint(keys[1], (3, 2), 1, size + 1),
        jax.random.normal(keys[2], (size + 1, width)),
        jax.random.normal(keys[3], (size + 1,)).at[0].set(-1e9),
    )


def reference(context, targets, table, bias, seen):
    """Write the mean down as it is defined, with all logits at once."""
    is_target = jax.nn.one_hot(targets, table.shape[0])
    is_met = seen | (jnp.cumsum(is_target, axis=0) - is_target > 0)
    logits = jnp.where(is_met & (is_target == 0), -jnp.inf, context @ table.T + bias)
    return jnp.mean(
        jax.nn.logsumexp(logits, axis=-1) - jnp.sum(logits, where=is_target > 0, axis=-1)
    )


def every_other_once(context, targets, table, bias, seen):
    size = table.shape[0] - 1
    return sampled_softmax(
        context, targets, table, bias, jnp.arange(1, size + 1), jnp.zeros(size), seen[:, 1:]
    )


def value_and_gradients(loss):
    """Differentiate a loss by context, table and bias."""
    return jax.jit(jax.value_and_grad(loss, (0, 2, 3)))


LOSSES = [value_and_gradients(loss) for loss in (reference, full_softmax, every_other_once)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sampling_every_other_item_once_is_full_softmax(seed: int):
    """With each item drawn exactly once nothing is estimated: values and gradients agree."""
    problem = random_problem(seed, size=11)
    seen = jax.random.bernoulli(jax.random.key(seed), 0.3, (2, 12))
    (expected, gradients), *ours = (loss(*problem, seen) for loss in LOSSES)
    for value, own_gradients in ours:
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        for own, other in zip(own_gradients, gradients, strict=True):
            np.testing.assert_allclose(own, other, atol=1e-5)


PARTS = jnp.array([[1.0, 2.0], [0.5, 1.0], [0.0, 3.0]])


def taught(context, targets, table, bias, seen, of_teacher):
    """Give the loss with a teacher that has other contexts, vectors and biases."""

    def rows(table, bias):
        return Rows({}, table[targets], bias[targets], everything(len(bias)), table, bias)

    its_context, *its_tables = of_teacher
    teacher = its_context, rows(*its_tables)
    return softmax_loss(context, rows(table, bias), targets, PARTS, seen, teacher)


def taught_reference(context, targets, table, bias, seen, of_teacher):
    """Write it down as it is defined: each target is partly what the teacher thinks."""
    is_target = jax.nn.one_hot(targets, table.shape[0])
    is_met = seen | (jnp.cumsum(is_target, axis=0) - is_target > 0)

    def logits(context, table, bias):
        return jnp.where(is_met & (is_target == 0), -1e30, context @ table.T + bias)

    opinion = jax.nn.softmax(logits(*of_teacher))
    wanted = (1 - TEACHER_SHARE) * is_target + TEACHER_SHARE * opinion
    surprise = -jnp.sum(wanted * jax.nn.log_softmax(logits(context, table, bias)), axis=-1)
    return jnp.average(surprise, weights=PARTS)


TAUGHT = [value_and_gradients(loss) for loss in (taught_reference, taught)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_teachers_opinion_is_a_part_of_each_target(seed: int):
    seen = jax.random.bernoulli(jax.random.key(seed), 0.3, (2, 12))
    context, _, *tables = random_problem(seed + 1, size=11, width=3)
    problem = (*random_problem(seed, size=11), seen, (context, *tables))
    (expected, expected_gradients), (value, gradients) = (loss(*problem) for loss in TAUGHT)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for own, other in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 4, 5])
def test_the_size_of_tiles_changes_nothing(monkeypatch, rows):
    problem = random_problem(0, size=11)
    seen = jax.random.bernoulli(jax.random.key(0), 0.3, (2, 12))
    expected, gradients = value_and_gradients(reference)(*problem, seen)
    monkeypatch.setattr(losses, "ROWS_IN_A_TILE", rows)
    value, own_gradients = value_and_gradients(full_softmax)(*problem, seen)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for own, other in zip(own_gradients, gradients, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_gradient_is_finite_where_every_negative_is_the_target():
    context, _, table, bias = random_problem(0, 11)
    targets, negatives = jnp.full((3, 2), 3), jnp.full(4, 3)

    def loss(context):
        return sampled_softmax(context, targets, table, bias, negatives, jnp.zeros(4), None)

    value, gradient = jax.value_and_grad(loss)(context)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("sampler", [uniform, log_uniform])
def test_samplers_draw_as_often_as_they_say(sampler):
    size, count = 20, 200_000
    ids, log_expected, _ = sampler(jax.random.key(1), count, size)
    drawn = np.bincount(ids, minlength=size + 1)
    assert drawn[0] == 0
    assert len(drawn) == size + 1
    expected = np.zeros(size + 1)
    expected[np.asarray(ids)] = np.exp(log_expected)
    np.testing.assert_allclose(drawn, expected, rtol=0.06, atol=1)
    assert expected.sum() == pytest.approx(count, rel=1e-3)


def test_log_uniform_prefers_small_ids():
    ids, *_ = log_uniform(jax.random.key(0), 10_000, 1000)
    drawn = np.bincount(ids, minlength=1001)
    # log(2) / log(1001) of all draws are id 1.
    assert drawn[1] == pytest.approx(10_000 * np.log(2) / np.log(1001), rel=0.1)


def test_batch_negatives_are_targets_expected_by_their_popularity():
    targets = jnp.array([1, 1, 1, 2, 0, 0])
    log_popularity = jnp.log(jnp.array([1.0, 0.75, 0.25]))
    ids, log_expected, _ = from_batch(jax.random.key(0), 1000, targets, log_popularity)
    drawn = np.bincount(ids, minlength=3)
    assert drawn[1] > drawn[2] > 0
    share = np.exp(np.asarray(log_expected))[np.asarray(ids) == 1][0] / (drawn[1] + drawn[2])
    assert share == pytest.approx(0.75, rel=1e-5)


@pytest.mark.parametrize("sampler", ["uniform", "log-uniform"])
def test_sampled_softmax_estimates_the_sum_of_full_softmax_without_bias(sampler):
    """exp(loss) is linear in the sum over the others: its mean over draws is the full one's."""
    size, count, draws = 50, 16, 3000
    context, targets, table, bias = random_problem(3, size)
    one = (context[:1, :1], targets[:1, :1], table, bias)
    draw = {"uniform": uniform, "log-uniform": log_uniform}[sampler]

    def estimate(key):
        return jnp.exp(sampled_softmax(*one, *draw(key, count, size)[:2], None))

    estimates = jax.vmap(estimate)(jax.random.split(jax.random.key(5), draws))
    exact = jnp.exp(full_softmax(*one, None))
    assert jnp.abs(estimates.mean() - exact) < 5 * jnp.std(estimates) / jnp.sqrt(draws)
