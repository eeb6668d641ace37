"""The device's graph, in JAX: it says of a history what the model says of what is known of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.build import device
from convert.prove.trials import INT32, known_alone
from jaxrec.models import lstm
from jaxrec.models.model import PAD_BIAS
from jaxrec.runtime.interpreter import HISTORY
from jaxrec.schema import ITEM, PAD
from tests.test_models import ENCODERS, SIZE, make

N = 7
# Two layers each; the RNN's steps written out, and in a loop.
VARIANTS = {
    "bow": ("bow", N),
    "cnn": ("cnn", N),
    "rnn, written out": ("rnn", N),
    "rnn, looped": ("rnn", 0),
}
MODELS = {encoder: make(encoder, lstm_layers=2, conv_layers=2) for encoder in ENCODERS}

numbers = st.one_of(
    st.integers(0, SIZE), st.sampled_from([-1, -SIZE, SIZE + 1, INT32.min, INT32.max])
)
histories = st.lists(st.lists(numbers, min_size=N, max_size=N), min_size=2, max_size=2).map(
    lambda rows: np.array(rows, np.int32)
)


def meant_by(history):
    return known_alone({HISTORY: history}, {HISTORY: SIZE})[HISTORY]


@pytest.fixture(scope="module", params=VARIANTS)
def encode(request):
    """Compile a model's device graph and the model itself."""
    encoder, most_written_out = VARIANTS[request.param]
    model = MODELS[encoder]
    prepared = device.prepare(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm, "MOST_WRITTEN_OUT", most_written_out)
        on_device = jax.jit(lambda ids: device.encode(prepared, {ITEM: ids}))
        on_device(np.zeros((2, N), np.int32))
    return on_device, jax.jit(lambda ids: model.context({ITEM: ids}))


@settings(max_examples=25, deadline=None)
@given(history=histories)
def test_strange_numbers_are_passed_over(encode, history):
    on_device, in_jax = encode
    np.testing.assert_allclose(on_device(history), in_jax(meant_by(history)), rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(history=histories)
def test_what_is_moved_is_moved_exactly(history):
    """A gap makes no difference of a single bit before the encoder."""
    known = (history > PAD) & (history <= SIZE)
    vectors = np.random.default_rng(0).normal(size=(SIZE + 1, 3)).astype(np.float32)
    vectors[PAD] = 0
    meant = meant_by(history)
    activities = jnp.asarray(vectors[np.where(known, history, PAD)])
    moved, there = device.close_gaps(activities, jnp.asarray(known, jnp.float32))
    np.testing.assert_array_equal(moved, vectors[meant])
    np.testing.assert_array_equal(there, meant != PAD)


def test_preparing_leaves_the_model_as_it_was():
    model = make("bow")
    before = np.array(model.item_table)
    prepared = device.prepare(model)
    np.testing.assert_array_equal(model.item_table, before)
    assert np.abs(before[PAD]).max() > 0
    np.testing.assert_array_equal(prepared.item_table[PAD], 0)
    np.testing.assert_array_equal(prepared.item_table[1:], before[1:])


def test_preparing_takes_padding_out_of_both_tables():
    model = make("bow", tie_embeddings=False)
    prepared = device.prepare(model)
    assert np.abs(np.array(model.item_table)[PAD]).max() > 0
    np.testing.assert_array_equal(prepared.item_table[PAD], 0)
    np.testing.assert_array_equal(prepared.activities.tables[ITEM][PAD], 0)
    np.testing.assert_array_equal(prepared.item_table[1:], model.item_table[1:])


@pytest.mark.parametrize("is_tied", [True, False])
def test_vectors_and_biases_are_those_of_the_scores(is_tied):
    model = make("bow", tie_embeddings=is_tied)
    prepared = device.prepare(model)
    items = jnp.array([[1, PAD, SIZE], [-1, SIZE + 1, INT32.min]], jnp.int32)
    vectors, biases = device.vectors(prepared, items), device.biases(prepared, items)
    lowest = np.float32(PAD_BIAS)
    table, bias = np.array(model.item_table), np.array(model.item_bias)
    np.testing.assert_array_equal(vectors[0], [table[1], 0 * table[1], table[SIZE]])
    np.testing.assert_array_equal(vectors[1], np.zeros((3, table.shape[1])))
    np.testing.assert_array_equal(biases, [[bias[1], lowest, bias[SIZE]], [lowest] * 3])


def test_unknown_candidates_have_the_score_of_padding():
    scores = np.arange(2 * (SIZE + 1), dtype=np.float32).reshape(2, -1)
    scores[:, PAD] = PAD_BIAS
    candidates = np.array([[3, PAD, -1, SIZE], [SIZE + 1, 1, INT32.max, INT32.min]], np.int32)
    picked = device.pick(jnp.asarray(scores), jnp.asarray(candidates))
    lowest = np.float32(PAD_BIAS)
    expected = [[3, lowest, lowest, SIZE], [lowest, SIZE + 2, lowest, lowest]]
    np.testing.assert_array_equal(picked, expected)
