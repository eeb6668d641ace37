"""Models: the properties that every encoder, and the recommender around it, must have."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.models.dropout import dropout
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.encoders.convolution import Convolution, ConvolutionConfig
from jaxrec.models.encoders.recurrent import Recurrent, RecurrentConfig
from jaxrec.models.encoders.transformer import TransformerConfig
from jaxrec.models.lstm import LSTM, lstm_cell
from jaxrec.models.model import PAD_BIAS, RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.schema import ITEM, PAD, Feature, Schema
from tests.worlds import left_padded

SIZE = 30
COUNTS = np.array([0, *range(SIZE, 0, -1)])
# Layers on top of each other, and layers that read one position each.
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


def make(encoder, seed=0, features=(), heads=(), size=SIZE, **settings):
    config = ModelConfig(encoder=encoder, **{"hidden_units": 8, "embedding_dim": 6, **settings})
    schema = Schema(size, 6, features, heads)
    model = drawn(partial(RecommenderModel, schema, config, COUNTS[: size + 1]), seed)
    model.bias[...] = model.item_bias.at[PAD].set(PAD_BIAS)
    return model


def drawn(build, seed):
    """Draw what is nobody's initial value, so that no property holds by a zero.

    By NumPy, for JAX compiles a generator for each shape.
    """
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(seed)
    return nnx.merge(
        graphdef,
        jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.4, leaf.shape), leaf.dtype), shapes),
    )


def context_of(model):
    """Encode whole histories."""
    return jax.jit(model.encode_last)


def contexts_of(model):
    """Encode what ends at each position of a window, as training does."""

    def contexts(history, count, history_length):
        return model.encode_positions(history, count, history_length)

    return jax.jit(contexts, static_argnames=("count", "history_length"))


@cache
def deep(encoder):
    """Share one with several layers: a property is tried on many histories."""
    return make(encoder, hidden_units=16, **DEEP[encoder])


@cache
def views_of(encoder):
    """Compile both views of it, once for each shape."""
    return context_of(deep(encoder)), contexts_of(deep(encoder))


@cache
def pointwise_views_of(encoder):
    """... of one whose layers on another read a position each."""
    model = make(encoder, **POINTWISE[encoder])
    return context_of(model), contexts_of(model)


# As evaluation and a device give them: activities at the right end.
histories = st.lists(st.lists(st.integers(1, SIZE), max_size=7), min_size=3, max_size=3).map(
    lambda rows: {ITEM: np.array([left_padded(row, 7) for row in rows], np.int32)}
)

properties = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize("encoder", ENCODERS)
@properties
@given(history=histories)
def test_the_last_prefix_is_the_whole(encoder, history):
    context, contexts = views_of(encoder)
    last = contexts(history, count=1, history_length=7)[0]
    np.testing.assert_allclose(last, context(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@properties
@given(history=histories, position=st.sampled_from([1, 4]))
def test_every_prefix_is_a_whole_of_its_own(encoder, history, position):
    """... and so sees nothing of what comes later."""
    part = {ITEM: history[ITEM][:, :position]}
    context, contexts = views_of(encoder)
    prefix = contexts(history, count=7, history_length=7)[position - 1]
    np.testing.assert_allclose(prefix, context(part), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["bow", "cnn", "transformer"])
@properties
@given(history=histories, history_length=st.integers(1, 9), position=st.integers(1, 9))
def test_in_a_longer_window_a_prefix_is_the_history_that_ends_there(
    encoder, history, history_length, position
):
    """The CNN here convolves single activities: a wider kernel sees past the history's start.

    So does a block of a transformer on another.
    """
    window = {ITEM: np.pad(np.maximum(history[ITEM], 1), ((0, 0), (2, 0)))}
    part = {ITEM: np.zeros_like(window[ITEM])}
    kept = min(history_length, position)
    part[ITEM][:, -kept:] = window[ITEM][:, position - kept : position]
    context, contexts = pointwise_views_of(encoder)
    prefix = contexts(window, count=9, history_length=history_length)[position - 1]
    np.testing.assert_allclose(prefix, context(part), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
@properties
@given(history=histories)
def test_padding_on_the_left_changes_nothing(encoder, history):
    padded, (context, _) = {ITEM: np.pad(history[ITEM], ((0, 0), (3, 0)))}, views_of(encoder)
    np.testing.assert_allclose(context(padded), context(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["bow", "rnn", "transformer"])
@properties
@given(history=histories, place=st.integers(0, 6))
def test_padding_in_the_middle_erases_nothing(encoder, history, place):
    """... of a window in training. To a convolution a gap is a gap."""
    gap = {ITEM: np.insert(history[ITEM], place, PAD, axis=1)}
    _, contexts = views_of(encoder)
    np.testing.assert_allclose(
        contexts(gap, count=1, history_length=8)[0],
        contexts(history, count=1, history_length=7)[0],
        rtol=1e-5,
        atol=1e-5,
    )


@properties
@given(history=histories, seed=st.integers(0, 1000))
def test_bag_of_words_ignores_the_order_of_all_but_the_last(history, seed):
    earlier, last = history[ITEM][:, :-1], history[ITEM][:, -1:]
    shuffled = np.random.default_rng(seed).permutation(earlier, axis=1)
    context, _ = views_of("bow")
    np.testing.assert_allclose(
        context({ITEM: np.concatenate([shuffled, last], axis=1)}),
        context(history),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("encoder", ["cnn", "rnn", "transformer"])
def test_the_others_read_order(encoder):
    context, _ = views_of(encoder)
    before = context({ITEM: jnp.array([[1, 2, 3, 4, 5, 6, 7]])})
    # Two old items, too.
    for other, least in (([7, 6, 5, 4, 3, 2, 1], 0.05), ([2, 1, 3, 4, 5, 6, 7], 1e-3)):
        assert jnp.abs(context({ITEM: jnp.array([other])}) - before).max() > least


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_gradient_from_the_future(encoder):
    model = deep(encoder)
    graphdef, params = nnx.split(model)
    history = {ITEM: jnp.array([[1, 2, 3, 4, 5]])}

    def early(params):
        return contexts_of(nnx.merge(graphdef, params))(history, count=5, history_length=5)[2].sum()

    table = jax.jit(jax.grad(early))(params)["activities"]["tables"][ITEM][...]
    np.testing.assert_array_equal(table[4:6], 0)
    assert jnp.all(jnp.abs(table[1:4]).max(axis=1) > 0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_empty_history_has_the_scores_of_the_bias(encoder):
    config = ModelConfig(encoder=encoder)
    model = nnx.jit(lambda: RecommenderModel(Schema(SIZE, 6), config, COUNTS, rngs=nnx.Rngs(0)))()
    empty = {ITEM: jnp.zeros((1, 4), jnp.int32)}
    scores = model.scores(context_of(model)(empty))[0]
    np.testing.assert_array_equal(scores, model.item_bias)
    # ... which begins as the popularity, and never offers PAD.
    np.testing.assert_array_equal(jnp.argsort(-scores)[:-1], np.arange(1, SIZE + 1))
    assert scores[PAD] == PAD_BIAS


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_candidate_scores_lower_than_padding(encoder):
    model = deep(encoder)
    scores = model.scores(context_of(model)({ITEM: jnp.array([[1, 2, 3]])}))
    assert jnp.all(scores[:, 1:] > scores[:, :1] + 1e8)


def test_tied_tables_are_one_and_untied_are_two():
    tied, untied = make("bow"), make("bow", tie_embeddings=False)
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model))) for model in (tied, untied)
    ]
    assert sizes[1] - sizes[0] == (SIZE + 1) * 6
    assert tied.is_tied and not untied.is_tied
    assert tied.item_table is tied.activities.tables[ITEM][...]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_second_feature_is_read_whatever_its_name(encoder):
    """JAX sorts dictionaries by name: this one would come before the item."""
    model = make(encoder, features=(Feature("genre", "activity", "id", 4),), hidden_units=16)
    history = {ITEM: jnp.array([[0, 1, 2]]), "genre": jnp.array([[0, 3, 4]])}
    other = history | {"genre": jnp.array([[0, 3, 1]])}
    context = context_of(model)
    assert context(history).shape == (1, 6)
    assert jnp.abs(context(history) - context(other)).max() > 1e-4
    last = contexts_of(model)(history, count=1, history_length=3)[0]
    np.testing.assert_allclose(last, context(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_user_enters_the_head_of_any_history_but_an_empty_one(encoder):
    model = make(encoder, features=(Feature("country", "user", "id", 4),), hidden_units=16)
    history = {ITEM: jnp.array([[0, 1, 2], [0, 0, 0]]), "country": jnp.array([3, 3])}
    other = history | {"country": jnp.array([1, 1])}
    context = context_of(model)
    assert jnp.abs(context(history)[0] - context(other)[0]).max() > 1e-4
    assert not context(history)[1].any()
    last = contexts_of(model)(history, count=1, history_length=3)[0]
    np.testing.assert_allclose(last, context(history), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_moment_of_a_position_is_that_of_its_target(encoder):
    hours = make(encoder, features=(Feature("hour", "moment", "id", 4),), hidden_units=16)
    window = {ITEM: np.array([[0, 1, 2]]), "hour": np.array([[1, 2, 3]])}
    context, prefixes = context_of(hours), contexts_of(hours)(window, count=2, history_length=3)
    for prefix, items, hour in zip(prefixes, ([0, 0, 1], [0, 1, 2]), (2, 3), strict=True):
        whole = context({ITEM: np.array([items]), "hour": np.array([hour])})
        np.testing.assert_allclose(prefix, whole, rtol=1e-5, atol=1e-5)


def query_by_hand(model, encoding, last):
    """Project an encoding, and add the vector of the last activity."""
    return encoding @ model.projection.kernel[...] + model.projection.bias[...] + last


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_training_starts_from_the_similarity_of_items(tie_embeddings):
    """The skip connection alone scores an item by its product with the last one."""
    config = ModelConfig(embedding_dim=6, tie_embeddings=tie_embeddings)
    model = nnx.jit(lambda: RecommenderModel(Schema(SIZE, 6), config, COUNTS, rngs=nnx.Rngs(0)))()
    model.projection.kernel[...] = jnp.zeros_like(model.projection.kernel[...])
    table = model.activities.tables[ITEM][...]
    query = context_of(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_array_equal(query, table[5])
    np.testing.assert_allclose(
        model.scores(query), table @ table[5] + model.item_bias, rtol=1e-5, atol=1e-5
    )


def test_bag_of_words_by_hand():
    model = make("bow", dense_layers=0)
    table = model.activities.tables[ITEM][...]
    expected = query_by_hand(model, (table[3] + table[5]) / 2, table[5])
    got = context_of(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_cnn_by_hand():
    """One convolution of two activities, relu(w . [before, now] + b); its maxima over time."""
    model = make("cnn", cnn=ConvolutionConfig(layers=1, kernel_size=2), dense_layers=0)
    assert isinstance(model.encoder, Convolution)
    table, (convolution,) = model.activities.tables[ITEM][...], model.encoder.convolutions
    first = convolution(jnp.concatenate([jnp.zeros(6), table[3]]))
    second = convolution(jnp.concatenate([table[3], table[5]]))
    latest, highest = jnp.maximum(second, 0), jnp.maximum(jnp.maximum(first, second), 0)
    expected = query_by_hand(model, jnp.concatenate([latest, highest, highest]), table[5])
    got = context_of(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_rnn_by_hand():
    """The LSTM's output, the last activity and the mean of all."""
    model = make("rnn", dense_layers=0)
    assert isinstance(model.encoder, Recurrent)
    table, (lstm,) = model.activities.tables[ITEM][...], model.encoder.layers
    output = lstm.encode_positions(table[None, jnp.array([3, 5])], jnp.ones((1, 2), bool))[0, -1]
    encoding = jnp.concatenate([output, table[5], (table[3] + table[5]) / 2])
    expected = query_by_hand(model, encoding, table[5])
    got = context_of(model)({ITEM: jnp.array([[0, 3, 5]])})[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    contexts = contexts_of(model)
    # In a window of training wherever the padding stands before the last activity.
    for history in ([0, 3, 5], [3, 0, 5]):
        got = contexts({ITEM: jnp.array([history])}, count=1, history_length=3)[0, 0]
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


LSTM_OF_THREE, ITS_PARAMS = nnx.split(LSTM(3, 3, rngs=nnx.Rngs(0)))


def in_one(params, inputs_BLE, mask_BL):
    return nnx.merge(LSTM_OF_THREE, params).encode_positions(inputs_BLE, mask_BL)


def by_cells(params, inputs_BLE, mask_BL):
    """Apply the cell step by step."""
    lstm = nnx.merge(LSTM_OF_THREE, params)
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
    outputs, pull = jax.vjp(partial(function, mask_BL=mask_BL), ITS_PARAMS, inputs_BLE)
    return outputs, pull(by_outputs_BLH)


@settings(max_examples=20, deadline=None)
@given(mask=st.lists(st.booleans(), min_size=8, max_size=8), seed=st.integers(0, 1000))
def test_the_gradient_of_an_lstm_is_that_of_its_cells(mask, seed):
    """With padding anywhere."""
    keys = jax.random.split(jax.random.key(seed), 2)
    inputs, by_outputs = (jax.random.normal(key, (2, 4, 3)) for key in keys)
    of = inputs, jnp.array(mask).reshape(2, 4), by_outputs
    ours, theirs = (with_gradients(function, *of) for function in (in_one, by_cells))
    for own, other in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_lstm_by_hand():
    """Two steps of the textbook's equations, in NumPy."""
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
    got = lstm.encode_positions(jnp.asarray(inputs), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(got[0, -1], output, rtol=1e-5)
    whole = lstm.encode_history(
        jnp.swapaxes(inputs, 0, 1), jnp.ones((2, 1, 1)), return_sequences=False
    )
    np.testing.assert_allclose(whole[0], output, rtol=1e-5)


def test_the_dropout_of_a_configuration_is_kept():
    assert make("bow", dropout=0.3).dropout_rate == 0.3
    assert make("bow", dropout=0.0).dropout_rate == 0.0


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = jnp.ones((100, 1001))
    dropped = dropout(x, 0.2, jax.random.key(0))
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(dropout(x, 0.2, None), x)
    np.testing.assert_array_equal(dropout(x, 0.0, jax.random.key(0)), x)


def test_dropout_is_independent_between_neighbours():
    """Four entries share one draw of 32 bits; they must not share their fate."""
    kept = np.asarray(dropout(jnp.ones((4000, 4)), 0.5, jax.random.key(1))) > 0
    correlation = np.corrcoef(kept.T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=0.08)
