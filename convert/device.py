"""The model as a device computes it: the trained parameters, in the cheapest builtin operations.

It says what `jaxrec.models` says of the known ids of a history, in their order: padding and unknown
ids weigh nothing wherever they stand. What differs is how:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The row of PAD is zero, so that no mask follows a lookup.
- CNN and LSTM see the known activities moved together at the right end (`_close_gaps`). So a
  convolution has no gaps, and an LSTM's padding comes first. Its bias is the weight of one more
  feature, which is 1 where there is an activity; without it a state of zeros stays one, and no step
  needs a mask.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.features import ITEM, PAD
from jaxrec.models.encoders import CNN, RNN, BagOfWords
from jaxrec.models.lstm import LSTM, lstm_cell
from jaxrec.models.recommender import Recommender

# An LSTM of up to so many steps is written out, a longer one is a loop of several steps a turn. The
# encoder alone, d = 16 and 24 units, one thread of an AMD EPYC, written out against a loop of 1, 5
# and 10 steps a turn: N = 10: 14 against 34, 36, -; N = 20: 25 against 51, 46, 58; N = 50: 57
# against 105, 76, 87; N = 100: 109 against 200, 130, 139; N = 200: - against 407, 253, 249 µs. What
# is written out costs 1.3 KB a step and signature, the loop of 5 13 KB whatever N: at N = 50 the
# 19 µs would cost 160 KB, more than the weights. With d = 64 and 128 units the arithmetic prevails
# and the forms are within a tenth of each other from N = 50, so the width does not enter.
_MOST_WRITTEN_OUT = 20
_STEPS_A_TURN = 5


def prepare(model: Recommender) -> Recommender:
    """Copy the model, with a vector of zeros for PAD."""
    graphdef, params = nnx.split(model)
    model = nnx.merge(graphdef, jax.tree.map(jnp.copy, params))
    table = model.embeddings.tables[ITEM]
    table[...] = table[...].at[PAD].set(0)
    return model


def encode(model: Recommender, history_BN: Int[jax.Array, "B N"]) -> Float[jax.Array, "B D"]:
    """Give the context of each history, ids of any value allowed."""
    rows = model.item_bias.shape[0]
    is_known_BN = _is_known(history_BN, rows)
    one_hot_nR = jax.nn.one_hot(jnp.where(is_known_BN, history_BN, PAD).reshape(-1), rows)
    activities_nE = one_hot_nR @ model.embeddings.tables[ITEM][...]
    activities_BNE = activities_nE.reshape(*history_BN.shape, -1)
    encoder = model.encoder
    if isinstance(encoder, BagOfWords):
        encoded_BH = encoder.whole(activities_BNE, is_known_BN)
    else:
        activities_BNF = _close_gaps(activities_BNE, is_known_BN.astype(jnp.float32))
        if isinstance(encoder, CNN):
            encoded_BH = _convolve(encoder, activities_BNF)
        else:
            encoded_BH = _recur(encoder, activities_BNF)
            mean_BE = encoder.mean.whole(activities_BNE, is_known_BN)
            encoded_BH = jnp.concatenate([encoded_BH, activities_BNF[:, -1, :-1], mean_BE], axis=-1)
    return model.project(encoded_BH, jnp.any(is_known_BN, axis=1))


def pick(
    scores_BR: Float[jax.Array, "B R"], candidates_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Give the scores of some items; unknown ids have PAD's."""
    ids_BM = known_or_pad(candidates_BM, scores_BR.shape[1])
    return jnp.take_along_axis(scores_BR, ids_BM, axis=1, mode="promise_in_bounds")


def known_or_pad(ids: Int[jax.Array, "*shape"], rows: int) -> Int[jax.Array, "*shape"]:
    """Replace every id that has no row in the table by PAD."""
    return jnp.where(_is_known(ids, rows), ids, PAD)


def _is_known(ids: Int[jax.Array, "*shape"], rows: int) -> Bool[jax.Array, "*shape"]:
    return (ids > PAD) & (ids < rows)


def _close_gaps(
    activities_BNE: Float[jax.Array, "B N E"], known_BN: Float[jax.Array, "B N"]
) -> Float[jax.Array, "B N E+1"]:
    """Move what is known to the right end, in its order, and mark it.

    By a product with a matrix of zeros and ones, which is exact and adds 1 µs to a call at N = 10;
    a scatter of the ids would add 4.

    Args:
        activities_BNE: zero where nothing is known.
        known_BN: 1 where an activity is known, else 0.

    Returns:
        The activities moved, with one more feature: 1 where there is one now, else 0.
    """
    length = known_BN.shape[1]
    met_BN = jnp.cumsum(known_BN, axis=1)
    # Place n takes the activity by which so many have been met; there is none below one.
    number_BN = met_BN[:, -1:] + np.arange(1 - length, 1, dtype=np.float32)
    takes_BNN = (number_BN[:, :, None] == met_BN[:, None, :]).astype(jnp.float32)
    return takes_BNN @ jnp.concatenate([activities_BNE, known_BN[:, :, None]], axis=-1)


def _convolve(encoder: CNN, activities_BNF: Float[jax.Array, "B N F"]) -> Float[jax.Array, "B H"]:
    """Take the maxima over time of the convolutions, each one CONV_2D over [B, 1, N, E]."""
    is_there_B1N1 = activities_BNF[:, None, :, -1:]
    x = activities_BNF[:, None, :, :-1]
    for layer in encoder.convolutions:
        kernel, bias = layer.kernel[...], layer.bias
        assert bias is not None
        x = jax.lax.conv_general_dilated(
            x,
            kernel.reshape(1, encoder.kernel_size, x.shape[-1], kernel.shape[1]),
            window_strides=(1, 1),
            padding=((0, 0), (encoder.kernel_size - 1, 0)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = nnx.relu(x + bias[...]) * is_there_B1N1
    return encoder.pool(x[:, 0])


def _recur(encoder: RNN, activities_BNF: Float[jax.Array, "B N F"]) -> Float[jax.Array, "B H"]:
    """Give the last output of the LSTMs on top of each other."""
    x_NBF = jnp.swapaxes(activities_BNF, 0, 1)
    is_there_NB1 = x_NBF[:, :, -1:]
    for layer in encoder.layers[:-1]:
        outputs_NBH = _lstm(layer, x_NBF, every=True)
        x_NBF = jnp.concatenate([outputs_NBH, is_there_NB1], axis=-1)
    return _lstm(encoder.layers[-1], x_NBF, every=False)


def _lstm(
    layer: LSTM, inputs_NBF: Float[jax.Array, "N B F"], *, every: bool
) -> Float[jax.Array, "*steps B H"]:
    """Give the outputs of `every` step, [N, B, H], or the last one alone, [B, H].

    The products with the inputs of all steps are one, before the loop.
    """
    length, batch, features = inputs_NBF.shape
    kernel, bias = layer.kernel[...], layer.bias[...]
    inputs_to_gates_F4H = jnp.concatenate([kernel[: features - 1], bias[None]])
    outputs_to_gates_H4H = kernel[features - 1 :]
    gates_n4H = inputs_NBF.reshape(-1, features) @ inputs_to_gates_F4H

    def step(
        state: tuple[jax.Array, jax.Array], gates_B4H: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
        cell_BH, output_BH = state
        state = lstm_cell(gates_B4H + output_BH @ outputs_to_gates_H4H, cell_BH)
        return state, state[1] if every else None

    zeros_BH = jnp.zeros((batch, outputs_to_gates_H4H.shape[0]))
    state = zeros_BH, zeros_BH
    if length <= _MOST_WRITTEN_OUT:
        # By hand: of two axes a step is a slice, and needs no reshape as scan's do.
        outputs = []
        for gates_B4H in jnp.split(gates_n4H, length):
            state, output_BH = step(state, gates_B4H)
            outputs.append(output_BH)
        return jnp.stack(outputs) if every else state[1]
    gates_NB4H = gates_n4H.reshape(length, batch, -1)
    state, outputs_NBH = jax.lax.scan(step, state, gates_NB4H, unroll=_STEPS_A_TURN)
    return state[1] if outputs_NBH is None else outputs_NBH
