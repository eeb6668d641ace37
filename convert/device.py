"""The model as a device computes it: the trained parameters, in the cheapest builtin operations.

It says what `jaxrec.models` says of the known ids of a history, in their order: padding and unknown
ids weigh nothing wherever they stand. What differs is how:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The row of PAD is zero, so that no mask follows a lookup.
- CNN and LSTM see the known activities moved together at the right end (`_close_gaps`). So a
  convolution has no gaps, and an LSTM's padding comes first, where closing the input gate keeps its
  state at zero: no mask in any step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.features import ITEM, PAD
from jaxrec.models.encoders import CNN, RNN, BagOfWords
from jaxrec.models.lstm import LSTM, lstm_cell
from jaxrec.models.recommender import Recommender

# What the input gate of an LSTM gets at padding: its sigmoid is zero in float32 and float16.
_CLOSED = -1e4


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
    ids_BN = known_or_pad(history_BN, rows)
    one_hot_nR = jax.nn.one_hot(ids_BN.reshape(-1), rows)
    activities_BNE = (one_hot_nR @ model.embeddings.tables[ITEM][...]).reshape(*ids_BN.shape, -1)
    is_known_BN = ids_BN != PAD
    encoder = model.encoder
    if isinstance(encoder, BagOfWords):
        encoded_BH = encoder.whole(activities_BNE, is_known_BN)
    else:
        activities_BNE, weight_BN = _close_gaps(activities_BNE, is_known_BN.astype(jnp.float32))
        if isinstance(encoder, CNN):
            encoded_BH = _convolve(encoder, activities_BNE, weight_BN)
        else:
            encoded_BH = _recur(encoder, activities_BNE, weight_BN)
    return model.project(encoded_BH, jnp.any(is_known_BN, axis=1))


def pick(
    scores_BR: Float[jax.Array, "B R"], candidates_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Give the scores of some items; unknown ids have PAD's."""
    ids_BM = known_or_pad(candidates_BM, scores_BR.shape[1])
    return jnp.take_along_axis(scores_BR, ids_BM, axis=1, mode="promise_in_bounds")


def known_or_pad(ids: Int[jax.Array, "*shape"], rows: int) -> Int[jax.Array, "*shape"]:
    """Replace every id that has no row in the table by PAD."""
    return jnp.where((ids > 0) & (ids < rows), ids, PAD)


def _close_gaps(
    activities_BNE: Float[jax.Array, "B N E"], known_BN: Float[jax.Array, "B N"]
) -> tuple[Float[jax.Array, "B N E"], Float[jax.Array, "B N"]]:
    """Move what is known to the right end, in its order.

    By a product with a matrix of zeros and ones, which is exact: a scatter of the ids does the same
    and takes three times as long at N = 10.

    Args:
        activities_BNE: zero where nothing is known.
        known_BN: 1 where an activity is known, else 0.

    Returns:
        The activities moved, and 1 where there is one now, else 0.
    """
    length = known_BN.shape[1]
    met_BN = jnp.cumsum(known_BN, axis=1)
    # Place n takes the activity by which so many have been met; there is none below one.
    number_BN = met_BN[:, -1:] + np.arange(1 - length, 1, dtype=np.float32)
    takes_BNN = (number_BN[:, :, None] == met_BN[:, None, :]).astype(jnp.float32)
    return takes_BNN @ activities_BNE, jnp.clip(number_BN, 0, 1)


def _convolve(
    encoder: CNN, activities_BNE: Float[jax.Array, "B N E"], weight_BN: Float[jax.Array, "B N"]
) -> Float[jax.Array, "B H"]:
    """Take the maximum over time of the convolutions, each one CONV_2D over [B, 1, N, E]."""
    weight_B1N1 = weight_BN[:, None, :, None]
    x = activities_BNE[:, None]
    for layer in encoder.convolutions:
        kernel = layer.kernel[...]
        x = jax.lax.conv_general_dilated(
            x,
            kernel.reshape(1, encoder.kernel_size, x.shape[-1], kernel.shape[1]),
            window_strides=(1, 1),
            padding=((0, 0), (encoder.kernel_size - 1, 0)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        assert layer.bias is not None
        x = nnx.relu(x + layer.bias[...]) * weight_B1N1
    return jnp.max(x[:, 0], axis=1)


def _unrolled(length: int, units: int) -> bool:
    """Tell whether an LSTM's steps are written out, or looped over."""
    return length <= 20


def _recur(
    encoder: RNN, activities_BNE: Float[jax.Array, "B N E"], weight_BN: Float[jax.Array, "B N"]
) -> Float[jax.Array, "B H"]:
    """Give the last output of the LSTMs on top of each other."""
    x_NBE, weight_NB = jnp.swapaxes(activities_BNE, 0, 1), jnp.swapaxes(weight_BN, 0, 1)
    for layer in encoder.layers[:-1]:
        x_NBE = _lstm(layer, x_NBE, weight_NB, every=True)
    return _lstm(encoder.layers[-1], x_NBE, weight_NB, every=False)


def _lstm(
    layer: LSTM,
    inputs_NBE: Float[jax.Array, "N B E"],
    weight_NB: Float[jax.Array, "N B"],
    *,
    every: bool,
) -> Float[jax.Array, "*steps B H"]:
    """Give the outputs of `every` step, [N, B, H], or the last one alone, [B, H].

    The products with the inputs of all steps are one, before the loop.
    """
    length, batch, width = inputs_NBE.shape
    kernel, bias = layer.kernel[...], layer.bias[...]
    units = bias.shape[0] // 4
    closed_4H = np.repeat(np.array([_CLOSED, 0, 0, 0], np.float32), units)
    # In two dimensions, so that a step is a slice without a reshape.
    gates_n4H = inputs_NBE.reshape(-1, width) @ kernel[:width] + bias
    gates_n4H = gates_n4H + (1 - weight_NB.reshape(-1, 1)) * closed_4H

    def step(
        state: tuple[jax.Array, jax.Array], gates_B4H: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        cell_BH, output_BH = state
        return lstm_cell(gates_B4H + output_BH @ kernel[width:], cell_BH)

    state = jnp.zeros((batch, units)), jnp.zeros((batch, units))
    if _unrolled(length, units):
        outputs = []
        for gates_B4H in jnp.split(gates_n4H, length):
            state = step(state, gates_B4H)
            outputs.append(state[1])
        return jnp.stack(outputs) if every else outputs[-1]

    def loop(
        state: tuple[jax.Array, jax.Array], gates_B4H: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
        state = step(state, gates_B4H)
        return state, state[1] if every else None

    state, outputs_NBH = jax.lax.scan(loop, state, gates_n4H.reshape(length, batch, -1))
    return state[1] if outputs_NBH is None else outputs_NBH
