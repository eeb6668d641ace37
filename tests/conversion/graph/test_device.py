"""The device's graph, in JAX: it encodes a raw history as the model encodes its valid part."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.conversion.graph import device
from jaxrec.conversion.inputs import as_history
from jaxrec.conversion.verify.trials import INT32, canonicalize
from jaxrec.data.feature_values import encode_inputs
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.models import lstm
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.encoders.recurrent import RecurrentConfig
from jaxrec.models.model import PAD_BIAS
from jaxrec.runtime.interpreter import HISTORY
from jaxrec.schema import AGE, ITEM, PAD, Feature
from tests.small_models import SIZE, make_model

N = 7
# Two layers or blocks each; the steps of the RNN unrolled, and in a loop.
VARIANTS = {
    "bow": ("bow", N),
    "cnn": ("cnn", N),
    "rnn, written out": ("rnn", N),
    "rnn, looped": ("rnn", 0),
    "transformer": ("transformer", N),
}
MODELS = {
    encoder: make_model(encoder, rnn=RecurrentConfig(layers=2))
    if encoder == "rnn"
    else make_model(encoder)
    for encoder in ENCODERS
}

numbers = st.one_of(
    st.integers(0, SIZE), st.sampled_from([-1, -SIZE, SIZE + 1, INT32.min, INT32.max])
)
histories = st.lists(st.lists(numbers, min_size=N, max_size=N), min_size=2, max_size=2).map(
    lambda rows: np.array(rows, np.int32)
)


def canonical_history(history):
    return canonicalize({HISTORY: history}, SIZE)[HISTORY]


@pytest.fixture(scope="module", params=VARIANTS)
def encode(request):
    """Return a model's device graph and the model itself, both jitted."""
    encoder, max_unrolled_steps = VARIANTS[request.param]
    model = MODELS[encoder]
    prepared = device.zero_padding_rows(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm, "MAX_UNROLLED_STEPS", max_unrolled_steps)
        on_device = jax.jit(lambda ids: device.encode(prepared, {ITEM: ids}))
        on_device(np.zeros((2, N), np.int32))
    return on_device, jax.jit(lambda ids: model.encode_last({ITEM: ids}))


@given(history=histories)
def test_invalid_ids_are_ignored(encode, history):
    on_device, in_jax = encode
    np.testing.assert_allclose(
        on_device(history), in_jax(canonical_history(history)), rtol=1e-5, atol=1e-5
    )


@given(history=histories)
def test_right_alignment_is_exact(history):
    """The encoder's input is bit-identical with and without invalid ids in between."""
    known = (history > PAD) & (history <= SIZE)
    vectors = np.random.default_rng(0).normal(size=(SIZE + 1, 3)).astype(np.float32)
    vectors[PAD] = 0
    canonical = canonical_history(history)
    activities = jnp.asarray(vectors[np.where(known, history, PAD)])
    aligned, valid = device.right_align(activities, jnp.asarray(known, jnp.float32))
    np.testing.assert_array_equal(aligned, vectors[canonical])
    np.testing.assert_array_equal(valid, canonical != PAD)


FEATURES = (
    Feature("rating", "activity", "id", 3),
    Feature("price", "activity", "number", 4, (-2.5, 0.0, 8.0)),
    Feature(AGE, "activity", "age", len(GAP_EDGES)),
    Feature("user_country", "user", "id", 4),
    Feature("user_income", "user", "number", 3, (1e3, 2e6)),
)

ids_of_values = st.integers(-1, 5) | st.sampled_from([INT32.min, INT32.max])
floats = st.floats(width=32, allow_subnormal=False) | st.sampled_from(
    [-2.5, 0.0, 8.0, 1e3, 1e38, 2e38]
)
ages = (
    st.integers(-1, 10)
    | st.integers(INT32.min, INT32.max)
    | st.builds(lambda power, more: (1 << power) + more, st.integers(0, 30), st.integers(-33, 1))
)


@pytest.fixture(scope="module", params=ENCODERS)
def encode_with_features(request):
    """Return the encoder of a model with features, as a device graph and in JAX."""
    model = make_model(request.param, features=FEATURES)
    prepared = device.zero_padding_rows(model)
    return jax.jit(lambda inputs: device.encode(prepared, inputs)), jax.jit(model.encode_last)


@given(data=st.data())
def test_any_feature_value_is_encoded_as_in_training(encode_with_features, data):
    on_device, in_jax = encode_with_features

    def draw(values, dtype, *shape):
        many = st.lists(values, min_size=math.prod(shape), max_size=math.prod(shape))
        return np.array(data.draw(many)).astype(dtype).reshape(shape)

    given = {
        HISTORY: draw(st.integers(-1, SIZE + 1), np.int32, 2, 5),
        "rating": draw(ids_of_values, np.int32, 2, 5),
        "price": draw(floats, np.float32, 2, 5),
        AGE: draw(ages, np.int32, 2, 5),
        "user_country": draw(ids_of_values, np.int32, 2),
        "user_income": draw(floats, np.float32, 2),
    }
    canonical = canonicalize(given, SIZE, FEATURES)
    np.testing.assert_allclose(
        on_device(as_history(given)),
        in_jax(encode_inputs(FEATURES, as_history(canonical))),
        rtol=1e-5,
        atol=1e-5,
    )


def test_zeroing_padding_rows_leaves_the_model_unchanged():
    model = make_model("bow")
    before = np.array(model.item_table)
    prepared = device.zero_padding_rows(model)
    np.testing.assert_array_equal(model.item_table, before)
    assert np.abs(before[PAD]).max() > 0
    np.testing.assert_array_equal(prepared.item_table[PAD], 0)
    np.testing.assert_array_equal(prepared.item_table[1:], before[1:])


def test_padding_rows_are_zeroed_in_both_tables():
    model = make_model("bow", tie_embeddings=False)
    prepared = device.zero_padding_rows(model)
    assert np.abs(np.array(model.item_table)[PAD]).max() > 0
    np.testing.assert_array_equal(prepared.item_table[PAD], 0)
    np.testing.assert_array_equal(prepared.activities.tables[ITEM][PAD], 0)
    np.testing.assert_array_equal(prepared.item_table[1:], model.item_table[1:])


@pytest.mark.parametrize("is_tied", [True, False])
def test_vectors_and_biases_are_those_of_the_scores(is_tied):
    model = make_model("bow", tie_embeddings=is_tied)
    prepared = device.zero_padding_rows(model)
    items = jnp.array([[1, PAD, SIZE], [-1, SIZE + 1, INT32.min]], jnp.int32)
    vectors, biases = device.item_embeddings(prepared, items), device.item_biases(prepared, items)
    lowest = np.float32(PAD_BIAS)
    table, bias = np.array(model.item_table), np.array(model.item_bias)
    np.testing.assert_array_equal(vectors[0], [table[1], 0 * table[1], table[SIZE]])
    np.testing.assert_array_equal(vectors[1], np.zeros((3, table.shape[1])))
    np.testing.assert_array_equal(biases, [[bias[1], lowest, bias[SIZE]], [lowest] * 3])


def test_unknown_candidates_have_the_score_of_padding():
    scores = np.arange(2 * (SIZE + 1), dtype=np.float32).reshape(2, -1)
    scores[:, PAD] = PAD_BIAS
    candidates = np.array([[3, PAD, -1, SIZE], [SIZE + 1, 1, INT32.max, INT32.min]], np.int32)
    picked = device.gather_candidates(jnp.asarray(scores), jnp.asarray(candidates))
    lowest = np.float32(PAD_BIAS)
    expected = [[3, lowest, lowest, SIZE], [lowest, SIZE + 2, lowest, lowest]]
    np.testing.assert_array_equal(picked, expected)
