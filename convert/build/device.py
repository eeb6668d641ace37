"""The model as a device computes it: the trained parameters, in the cheapest builtin operations.

It says what `jaxrec.models` says of the known ids of a history, in their order: padding and unknown
ids weigh nothing wherever they stand. What differs is how a history comes to the encoder, whose
`whole` ships as it is:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The item row of PAD is zero, in both tables if there are two, so that no mask follows a lookup.
- Known activities are moved together at the right end, if the encoder reads their order.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, PAD


def prepare(model: RecommenderModel) -> RecommenderModel:
    """Copy the model, with vectors of zeros for the item PAD."""
    graphdef, params = nnx.split(model)
    model = nnx.merge(graphdef, jax.tree.map(jnp.copy, params))
    for table in (model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])):
        table[...] = table[...].at[PAD].set(0)
    return model


def encode(
    model: RecommenderModel, history: Mapping[str, Int[jax.Array, "B N"]]
) -> Float[jax.Array, "B D"]:
    """Give the context of each history, ids of any value allowed."""
    is_known_BN = _is_known(history[ITEM], model.item_bias.shape[0])
    there_BN = is_known_BN.astype(jnp.float32)
    vectors = []
    for name in model.activities.names:
        vectors_BNE = _look_up(model.activities.tables[name][...], history[name])
        # Another feature's row 0 is an unknown value, and no vector of zeros.
        vectors.append(vectors_BNE if name == ITEM else vectors_BNE * there_BN[..., None])
    activities_BNE = jnp.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0]
    if model.encoder.needs_order:
        activities_BNE, there_BN = close_gaps(activities_BNE, there_BN)
    encoded_BH = model.encoder.whole(activities_BNE, there_BN)
    return model.project(encoded_BH, jnp.any(is_known_BN, axis=1))


def pick(
    scores_BR: Float[jax.Array, "B R"], candidates_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Give the scores of some items; unknown ids have PAD's."""
    ids_BM = known_or_pad(candidates_BM, scores_BR.shape[1])
    return jnp.take_along_axis(scores_BR, ids_BM, axis=1, mode="promise_in_bounds")


def vectors(model: RecommenderModel, items_BM: Int[jax.Array, "B M"]) -> Float[jax.Array, "B M D"]:
    """Give the vectors by which some items are scored; those of unknown ids are zero."""
    return _look_up(model.item_table, items_BM)


def biases(model: RecommenderModel, items_BM: Int[jax.Array, "B M"]) -> Float[jax.Array, "B M"]:
    """Give what is added to the scores of some items; unknown ids have PAD's."""
    bias_R = model.item_bias
    ids_BM = known_or_pad(items_BM, bias_R.shape[0])
    return bias_R.at[ids_BM].get(mode="promise_in_bounds", wrap_negative_indices=False)


def known_or_pad(ids: Int[jax.Array, "*shape"], rows: int) -> Int[jax.Array, "*shape"]:
    """Replace every id that has no row in the table by PAD."""
    return jnp.where(_is_known(ids, rows), ids, PAD)


def _is_known(ids: Int[jax.Array, "*shape"], rows: int) -> Bool[jax.Array, "*shape"]:
    return (ids > PAD) & (ids < rows)


def _look_up(
    table_RE: Float[jax.Array, "R E"], ids_BN: Int[jax.Array, "B N"]
) -> Float[jax.Array, "B N E"]:
    rows = table_RE.shape[0]
    one_hot_nR = jax.nn.one_hot(known_or_pad(ids_BN, rows).reshape(-1), rows)
    return (one_hot_nR @ table_RE).reshape(*ids_BN.shape, -1)


def close_gaps(
    activities_BNE: Float[jax.Array, "B N E"], there_BN: Float[jax.Array, "B N"]
) -> tuple[Float[jax.Array, "B N E"], Float[jax.Array, "B N"]]:
    """Move what is known to the right end, in its order; tell where it is now.

    By a product with a matrix of zeros and ones, which is exact and adds 1 µs to a call at N = 10;
    a scatter of the ids would add 4.

    Args:
        activities_BNE: zero where nothing is known.
        there_BN: 1 where an activity is known, else 0.
    """
    length = there_BN.shape[1]
    met_BN = jnp.cumsum(there_BN, axis=1)
    # Place n takes the activity by which so many have been met; there is none below one.
    number_BN = met_BN[:, -1:] + np.arange(1 - length, 1, dtype=np.float32)
    takes_BNN = (number_BN[:, :, None] == met_BN[:, None, :]).astype(jnp.float32)
    # Gaps are met with the activity before them, but are zero.
    return takes_BNN @ activities_BNE, (number_BN > 0).astype(jnp.float32)
