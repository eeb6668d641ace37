"""Properties of every encoder, and of the model around it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.models.encoders import ENCODERS
from jaxrec.models.encoders.convolution import Convolution, ConvolutionConfig
from jaxrec.models.encoders.recurrent import Recurrent, RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.model import PAD_BIAS, RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.schema import ITEM, PAD, Feature, Schema
from tests.small_data import left_padded
from tests.small_models import COUNTS, SIZE, make_model

# Encoders with stacked layers, and encoders whose inner layers see one position each.
DEEP = {
    "bow": {},
    "cnn": {"cnn": ConvolutionConfig(layers=3)},
    "rnn": {"rnn": RecurrentConfig(layers=2)},
    "transformer": {"transformer": TransformerConfig(blocks=2)},
}
POINTWISE = {
    "bow": {},
    "rnn": {},
    "cnn": {"cnn": ConvolutionConfig(kernel_size=1)},
    "transformer": {"transformer": TransformerConfig(blocks=1)},
}


def jit_encode_last(model):
    """Return the jitted encoder of whole histories."""
    return jax.jit(model.encode_last)


def jit_encode_positions(model):
    """Return the jitted encoder of every position of a window, as in training."""

    def encode_positions(history, count, history_length):
        return model.encode_positions(history, count, history_length)

    return jax.jit(encode_positions, static_argnames=("count", "history_length"))


@cache
def deep(encoder):
    """Return a model with several layers, cached because properties try many histories."""
    return make_model(encoder, hidden_units=16, **DEEP[encoder])


@cache
def encoders_of(encoder):
    """Return both encoders of the deep model, which compile once for each shape."""
    return jit_encode_last(deep(encoder)), jit_encode_positions(deep(encoder))


@cache
def pointwise_encoders_of(encoder):
    """Return both encoders of a model whose inner layers see one position each."""
    model = make_model(encoder, **POINTWISE[encoder])
    return jit_encode_last(model), jit_encode_positions(model)


# Right-aligned, as in evaluation and on a device.
histories = st.lists(st.lists(st.integers(1, SIZE), max_size=7), min_size=3, max_size=3).map(
    lambda rows: {ITEM: np.array([left_padded(row, 7) for row in rows], np.int32)}
)


@pytest.mark.parametrize("encoder", ENCODERS)
@given(history=histories)
def test_the_last_position_encodes_the_whole_history(encoder, history):
    encode_last, encode_positions = encoders_of(encoder)
    last = encode_positions(history, count=1, history_length=7)[0]
    np.testing.assert_allclose(last, encode_last(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@given(history=histories, position=st.sampled_from([1, 4]))
def test_every_position_encodes_the_history_up_to_it(encoder, history, position):
    """Later activities have no effect."""
    part = {ITEM: history[ITEM][:, :position]}
    encode_last, encode_positions = encoders_of(encoder)
    query = encode_positions(history, count=7, history_length=7)[position - 1]
    np.testing.assert_allclose(query, encode_last(part), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["bow", "cnn", "transformer"])
@given(history=histories, history_length=st.integers(1, 9), position=st.integers(1, 9))
def test_a_position_of_a_longer_window_encodes_the_history_that_ends_there(
    encoder, history, history_length, position
):
    """The CNN has a kernel of size 1, since a wider one reads past the history's start.

    The transformer has one block for the same reason.
    """
    window = {ITEM: np.pad(np.maximum(history[ITEM], 1), ((0, 0), (2, 0)))}
    part = {ITEM: np.zeros_like(window[ITEM])}
    kept = min(history_length, position)
    part[ITEM][:, -kept:] = window[ITEM][:, position - kept : position]
    encode_last, encode_positions = pointwise_encoders_of(encoder)
    query = encode_positions(window, count=9, history_length=history_length)[position - 1]
    np.testing.assert_allclose(query, encode_last(part), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@given(history=histories)
def test_padding_on_the_left_has_no_effect(encoder, history):
    padded, (encode_last, _) = {ITEM: np.pad(history[ITEM], ((0, 0), (3, 0)))}, encoders_of(encoder)
    np.testing.assert_allclose(encode_last(padded), encode_last(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["bow", "rnn", "transformer"])
@given(history=histories, position=st.integers(0, 6))
def test_padding_in_the_middle_has_no_effect(encoder, history, position):
    """The window is one of training. The CNN is left out, since it reads padding as a gap."""
    gap = {ITEM: np.insert(history[ITEM], position, PAD, axis=1)}
    _, encode_positions = encoders_of(encoder)
    np.testing.assert_allclose(
        encode_positions(gap, count=1, history_length=8)[0],
        encode_positions(history, count=1, history_length=7)[0],
        rtol=1e-5,
        atol=1e-5,
    )


@given(history=histories, seed=st.integers(0, 1000))
def test_bag_of_words_ignores_the_order_of_all_but_the_last(history, seed):
    earlier, last = history[ITEM][:, :-1], history[ITEM][:, -1:]
    shuffled = np.random.default_rng(seed).permutation(earlier, axis=1)
    encode_last, _ = encoders_of("bow")
    np.testing.assert_allclose(
        encode_last({ITEM: np.concatenate([shuffled, last], axis=1)}),
        encode_last(history),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("encoder", ["cnn", "rnn", "transformer"])
def test_the_other_encoders_depend_on_order(encoder):
    encode_last, _ = encoders_of(encoder)
    before = encode_last({ITEM: jnp.array([[1, 2, 3, 4, 5, 6, 7]])})
    # Also when only the two oldest items are swapped.
    for other, min_difference in (([7, 6, 5, 4, 3, 2, 1], 0.05), ([2, 1, 3, 4, 5, 6, 7], 1e-3)):
        assert jnp.abs(encode_last({ITEM: jnp.array([other])}) - before).max() > min_difference


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_gradient_from_the_future(encoder):
    model = deep(encoder)
    graphdef, params = nnx.split(model)
    history = {ITEM: jnp.array([[1, 2, 3, 4, 5]])}

    def early(params):
        return jit_encode_positions(nnx.merge(graphdef, params))(
            history, count=5, history_length=5
        )[2].sum()

    table = jax.jit(jax.grad(early))(params)["activities"]["tables"][ITEM][...]
    np.testing.assert_array_equal(table[4:6], 0)
    assert jnp.all(jnp.abs(table[1:4]).max(axis=1) > 0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_empty_history_has_the_scores_of_the_bias(encoder):
    config = ModelConfig(encoder=encoder)
    model = nnx.jit(lambda: RecommenderModel(Schema(SIZE, 6), config, COUNTS, rngs=nnx.Rngs(0)))()
    empty = {ITEM: jnp.zeros((1, 4), jnp.int32)}
    scores = model.scores(jit_encode_last(model)(empty))[0]
    np.testing.assert_array_equal(scores, model.item_bias)
    # The bias is initialized by popularity, and PAD comes last.
    np.testing.assert_array_equal(jnp.argsort(-scores)[:-1], np.arange(1, SIZE + 1))
    assert scores[PAD] == PAD_BIAS


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_item_scores_higher_than_padding(encoder):
    model = deep(encoder)
    scores = model.scores(jit_encode_last(model)({ITEM: jnp.array([[1, 2, 3]])}))
    assert jnp.all(scores[:, 1:] > scores[:, :1] + 1e8)


def test_tied_embeddings_share_one_table():
    tied, untied = make_model("bow"), make_model("bow", tie_embeddings=False)
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model))) for model in (tied, untied)
    ]
    assert sizes[1] - sizes[0] == (SIZE + 1) * 6
    assert tied.is_tied and not untied.is_tied
    assert tied.item_table is tied.activities.tables[ITEM][...]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_second_feature_is_read_whatever_its_name(encoder):
    """JAX sorts dictionaries by key, which puts this feature before the item."""
    model = make_model(encoder, features=(Feature("genre", "activity", "id", 4),), hidden_units=16)
    history = {ITEM: jnp.array([[0, 1, 2]]), "genre": jnp.array([[0, 3, 4]])}
    other = history | {"genre": jnp.array([[0, 3, 1]])}
    encode_last = jit_encode_last(model)
    assert encode_last(history).shape == (1, 6)
    assert jnp.abs(encode_last(history) - encode_last(other)).max() > 1e-4
    last = jit_encode_positions(model)(history, count=1, history_length=3)[0]
    np.testing.assert_allclose(last, encode_last(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_user_features_change_the_query_unless_the_history_is_empty(encoder):
    model = make_model(encoder, features=(Feature("country", "user", "id", 4),), hidden_units=16)
    history = {ITEM: jnp.array([[0, 1, 2], [0, 0, 0]]), "country": jnp.array([3, 3])}
    other = history | {"country": jnp.array([1, 1])}
    encode_last = jit_encode_last(model)
    assert jnp.abs(encode_last(history)[0] - encode_last(other)[0]).max() > 1e-4
    assert not encode_last(history)[1].any()
    last = jit_encode_positions(model)(history, count=1, history_length=3)[0]
    np.testing.assert_allclose(last, encode_last(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_moment_features_of_a_position_are_those_of_its_target(encoder):
    hours = make_model(encoder, features=(Feature("hour", "moment", "id", 4),), hidden_units=16)
    window = {ITEM: np.array([[0, 1, 2]]), "hour": np.array([[1, 2, 3]])}
    encode_last, queries = (
        jit_encode_last(hours),
        jit_encode_positions(hours)(window, count=2, history_length=3),
    )
    for query, items, hour in zip(queries, ([0, 0, 1], [0, 1, 2]), (2, 3), strict=True):
        whole = encode_last({ITEM: np.array([items]), "hour": np.array([hour])})
        np.testing.assert_allclose(query, whole, rtol=1e-5, atol=1e-5)


def query_by_hand(model, encoding, last):
    """Project an encoding and add the last activity's vector."""
    return encoding @ model.projection.kernel[...] + model.projection.bias[...] + last


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_the_skip_connection_scores_by_item_similarity(tie_embeddings):
    """With a zero projection, an item scores by its product with the last item."""
    config = ModelConfig(embedding_dim=6, tie_embeddings=tie_embeddings)
    model = nnx.jit(lambda: RecommenderModel(Schema(SIZE, 6), config, COUNTS, rngs=nnx.Rngs(0)))()
    model.projection.kernel[...] = jnp.zeros_like(model.projection.kernel[...])
    table = model.activities.tables[ITEM][...]
    query = jit_encode_last(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_array_equal(query, table[5])
    np.testing.assert_allclose(
        model.scores(query), table @ table[5] + model.item_bias, rtol=1e-5, atol=1e-5
    )


def test_bag_of_words_by_hand():
    model = make_model("bow", dense_layers=0)
    table = model.activities.tables[ITEM][...]
    expected = query_by_hand(model, (table[3] + table[5]) / 2, table[5])
    query = jit_encode_last(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(query, expected, rtol=1e-5)


def test_cnn_by_hand():
    """One convolution of kernel size 2, relu(w . [before, now] + b), and its maxima over time."""
    model = make_model("cnn", cnn=ConvolutionConfig(layers=1, kernel_size=2), dense_layers=0)
    assert isinstance(model.encoder, Convolution)
    table, (convolution,) = model.activities.tables[ITEM][...], model.encoder.convolutions
    first = convolution(jnp.concatenate([jnp.zeros(6), table[3]]))
    second = convolution(jnp.concatenate([table[3], table[5]]))
    latest, highest = jnp.maximum(second, 0), jnp.maximum(jnp.maximum(first, second), 0)
    expected = query_by_hand(model, jnp.concatenate([latest, highest, highest]), table[5])
    query = jit_encode_last(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-6)


def test_rnn_by_hand():
    """The encoding is the LSTM's output, the last activity and the mean of all activities."""
    model = make_model("rnn", dense_layers=0)
    assert isinstance(model.encoder, Recurrent)
    table, (lstm,) = model.activities.tables[ITEM][...], model.encoder.layers
    output = lstm.encode_positions(table[None, jnp.array([3, 5])], jnp.ones((1, 2), bool))[0, -1]
    encoding = jnp.concatenate([output, table[5], (table[3] + table[5]) / 2])
    expected = query_by_hand(model, encoding, table[5])
    query = jit_encode_last(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-6)
    encode_positions = jit_encode_positions(model)
    # In a training window, padding may stand anywhere before the last activity.
    for history in ([0, 3, 5], [3, 0, 5]):
        query = encode_positions({ITEM: jnp.array([history])}, count=1, history_length=3)[0, 0]
        np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-6)
