"""The LSTM layer: its equations by hand, and its gradient."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.models.lstm import LSTM, lstm_cell

LSTM_GRAPHDEF, LSTM_PARAMS = nnx.split(LSTM(3, 3, rngs=nnx.Rngs(0)))


def by_layer(params, inputs_BLE, mask_BL):
    return nnx.merge(LSTM_GRAPHDEF, params).encode_positions(inputs_BLE, mask_BL)


def by_cells(params, inputs_BLE, mask_BL):
    """Apply the LSTM cell step by step."""
    lstm = nnx.merge(LSTM_GRAPHDEF, params)
    cell, output = jnp.zeros((2, 3)), jnp.zeros((2, 3))
    outputs = []
    for step in range(4):
        gates = jnp.concatenate([inputs_BLE[:, step], output], axis=1) @ lstm.kernel + lstm.bias
        new_cell, new_output = lstm_cell(gates, cell)
        cell = jnp.where(mask_BL[:, step, None], new_cell, cell)
        output = jnp.where(mask_BL[:, step, None], new_output, output)
        outputs.append(output)
    return jnp.stack(outputs, axis=1)


@partial(jax.jit, static_argnums=0)
def with_gradients(function, inputs_BLE, mask_BL, by_outputs_BLH):
    outputs, pull = jax.vjp(partial(function, mask_BL=mask_BL), LSTM_PARAMS, inputs_BLE)
    return outputs, pull(by_outputs_BLH)


@given(mask=st.lists(st.booleans(), min_size=8, max_size=8), seed=st.integers(0, 1000))
def test_the_gradient_of_an_lstm_is_that_of_its_cells(mask, seed):
    """The mask has padding at any position."""
    keys = jax.random.split(jax.random.key(seed), 2)
    inputs, by_outputs = (jax.random.normal(key, (2, 4, 3)) for key in keys)
    of = inputs, jnp.array(mask).reshape(2, 4), by_outputs
    ours, theirs = (with_gradients(function, *of) for function in (by_layer, by_cells))
    for value, expected in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_lstm_by_hand():
    """Two steps of the standard LSTM equations, in NumPy."""
    lstm = LSTM(3, 2, rngs=nnx.Rngs(0))
    inputs = np.random.default_rng(0).normal(size=(1, 2, 3)).astype(np.float32)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    cell = output = np.zeros(2)
    for step in inputs[0]:
        gates = np.concatenate([step, output]) @ lstm.kernel + lstm.bias
        write, forget, emit, candidate = np.split(np.asarray(gates), 4)
        cell = sigmoid(forget) * cell + sigmoid(write) * np.tanh(candidate)
        output = sigmoid(emit) * np.tanh(cell)
    outputs = lstm.encode_positions(jnp.asarray(inputs), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(outputs[0, -1], output, rtol=1e-5)
    whole = lstm.encode_history(
        jnp.swapaxes(inputs, 0, 1), jnp.ones((2, 1, 1)), return_sequences=False
    )
    np.testing.assert_allclose(whole[0], output, rtol=1e-5)
