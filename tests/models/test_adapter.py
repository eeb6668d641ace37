"""The adapter: its gradient, its examples, and its guard on held-out activities."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.errors import UserError
from jaxrec.models.adapter import (
    AdaptConfig,
    Examples,
    Items,
    adapt,
    cross_entropies,
    expected_embedding,
    recency_weights,
    train_adapter,
    training_examples,
)
from jaxrec.models.model import PAD_BIAS

ROWS, WIDTH, COUNT = 12, 4, 30
CONFIG = AdaptConfig(activities=COUNT, held_out=8, l2_penalty=0.5)
WEIGHTS = jnp.asarray(recency_weights(COUNT, CONFIG.half_life))


def some_items(seed: int = 0) -> Items:
    table = np.random.default_rng(seed).normal(size=(ROWS, WIDTH)).astype(np.float32)
    bias = np.zeros(ROWS, np.float32)
    bias[0] = PAD_BIAS
    return Items(jnp.asarray(table), jnp.asarray(bias), jnp.asarray(table))


def some_examples(targets: list[int], seed: int = 1) -> Examples:
    contexts = np.random.default_rng(seed).normal(size=(len(targets), WIDTH)).astype(np.float32)
    return Examples(jnp.asarray(contexts), jnp.asarray(targets, jnp.int32))


targets_of = st.lists(st.integers(0, ROWS - 1), min_size=COUNT, max_size=COUNT)


@given(targets=targets_of, decay=st.floats(0, 10), seed=st.integers(0, 5))
def test_the_gradient_is_that_of_the_cross_entropy(targets, decay, seed):
    items, examples = some_items(), some_examples(targets)
    weights = jnp.where(examples.targets_M != 0, recency_weights(COUNT, 10), 0)
    adapter = jax.random.normal(jax.random.key(seed), (WIDTH,))

    def cost(adapter):
        surprise = jnp.where(weights > 0, cross_entropies(adapter, examples, items), 0)
        return jnp.sum(weights * surprise) + decay / 2 * jnp.sum(adapter**2)

    expected = jax.grad(cost)(adapter)
    came = weights @ items.table_RD[examples.targets_M]
    found = expected_embedding(adapter, examples, weights, items) - came + decay * adapter
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_two_items_by_hand():
    """With two equally likely items, training moves the adapter towards the target."""
    table = jnp.array([[0.0], [1.0], [-1.0]])
    items = Items(table, jnp.array([PAD_BIAS, 0.0, 0.0]), table)
    examples = Examples(jnp.zeros((1, 1)), jnp.array([1]))
    np.testing.assert_allclose(
        expected_embedding(jnp.zeros(1), examples, jnp.ones(1), items), [0.0]
    )
    drawn = expected_embedding(jnp.ones(1), examples, jnp.ones(1), items)
    np.testing.assert_allclose(drawn, [np.tanh(1.0)], rtol=1e-6)
    np.testing.assert_allclose(
        cross_entropies(jnp.zeros(1), examples, items), [np.log(2)], rtol=1e-6
    )
    config = AdaptConfig(steps=1, learning_rate=0.25)
    first = train_adapter(examples, jnp.ones(1), items, config)
    # Adam's first step is as long as the learning rate.
    np.testing.assert_allclose(first, [0.25], rtol=1e-5)


def test_recent_activities_count_more():
    np.testing.assert_allclose(recency_weights(4, 2.0), [0.5**1.5, 0.5, 0.5**0.5, 1], rtol=1e-6)


@given(known=st.integers(0, COUNT), history_length=st.integers(1, 8))
def test_each_activity_is_an_example_with_the_history_before_it(known, history_length):
    history = np.zeros(COUNT, np.int32)
    history[COUNT - known :] = np.arange(1, known + 1)
    windows, targets = training_examples(jnp.asarray(history), history_length)
    for position in range(COUNT + 1):
        before = history[max(0, position - history_length) : position]
        np.testing.assert_array_equal(
            windows[position], np.pad(before, (history_length - len(before), 0))
        )
    # The first known activity has an empty history and is no target.
    expected = np.where(history > 1, history, 0)
    np.testing.assert_array_equal(targets, expected)


@given(targets=targets_of)
def test_an_adapter_is_kept_only_if_it_helps_on_held_out_activities(targets):
    items, examples = some_items(), some_examples(targets)
    found = adapt(examples, WEIGHTS, items, CONFIG)
    held = jnp.where(jnp.arange(COUNT) >= COUNT - CONFIG.held_out, examples.targets_M, 0)
    zeros = jnp.zeros(WIDTH)
    surprises = cross_entropies(zeros, examples, items)[held != 0]
    if len(surprises):
        np.testing.assert_allclose(found.before, surprises.mean(), rtol=1e-4)
    if found.after < found.before:
        weights = jnp.where(examples.targets_M != 0, WEIGHTS, 0)
        expected_adapter = train_adapter(examples, weights, items, CONFIG)
        np.testing.assert_array_equal(found.adapter_D, expected_adapter)
    else:
        assert not np.any(found.adapter_D)


def test_a_constant_preference_is_learned_and_a_changed_one_is_not():
    """Every target is item 3, and the queries are random."""
    items = some_items()
    found = adapt(some_examples([3] * COUNT), WEIGHTS, items, CONFIG)
    assert found.after < found.before
    assert np.argmax(items.table_RD @ found.adapter_D + items.bias_R) == 3
    # The held-out targets are the item that is most unlike the one trained on.
    opposite = int(np.argmin(items.table_RD[1:] @ items.table_RD[3])) + 1
    changed = [3] * (COUNT - CONFIG.held_out) + [opposite] * CONFIG.held_out
    found = adapt(some_examples(changed), WEIGHTS, items, CONFIG)
    assert found.after > found.before
    assert not np.any(found.adapter_D)


def test_nothing_is_learned_without_examples():
    found = adapt(some_examples([0] * COUNT), WEIGHTS, some_items(), CONFIG)
    assert not np.any(found.adapter_D)
    assert np.isnan(found.before) and np.isnan(found.after)
    # With no more activities than are held out, no example is left to train on.
    items = [0] * (COUNT - CONFIG.held_out) + [3] * CONFIG.held_out
    assert not np.any(adapt(some_examples(items), WEIGHTS, some_items(), CONFIG).adapter_D)
    always = replace(CONFIG, held_out=0)
    assert not np.any(adapt(some_examples([0] * COUNT), WEIGHTS, some_items(), always).adapter_D)
    assert np.any(adapt(some_examples(items), WEIGHTS, some_items(), always).adapter_D)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"held_out": 100}, "--held-out=100 is out of range; give 0 to 99"),
        ({"held_out": -1}, "--held-out=-1"),
        ({"learning_rate": 0.0}, "--learning-rate=0.0"),
        ({"half_life": float("nan")}, "--half-life=nan"),
        ({"l2_penalty": -1.0}, "--l2-penalty=-1.0"),
    ],
)
def test_invalid_settings_are_refused(wrong, words):
    with pytest.raises(UserError, match=words):
        AdaptConfig(**wrong)
