"""The model as a device computes it: the trained parameters, in the cheapest builtin operations.

It says what `jaxrec.models` says of the known ids of a history, in their order: padding and unknown
ids weigh nothing wherever they stand. What differs is how a history comes to the encoder, whose
`whole` ships as it is:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The item row of PAD is zero, in both tables if there are two, so that no mask follows a lookup.
- Known activities are moved together at the right end, if the encoder reads their order; so are
  their ages, whose differences are the gaps between them.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int, Shaped

from jaxrec.data.feature_values import LARGEST
from jaxrec.data.gaps import LEAST_GAPS, LONGEST
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import AGE, ITEM, PAD, UNKNOWN_AGE, Feature

# Of an age, which has 30 bits.
HALF = 1 << 15


def prepare(model: RecommenderModel) -> RecommenderModel:
    """Copy the model, with vectors of zeros for the item PAD."""
    graphdef, params = nnx.split(model)
    model = nnx.merge(graphdef, jax.tree.map(jnp.copy, params))
    for table in (model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])):
        table[...] = table[...].at[PAD].set(0)
    return model


def encode(
    model: RecommenderModel, inputs: Mapping[str, Shaped[jax.Array, "B *N"]]
) -> Float[jax.Array, "B D"]:
    """Give the context of each history, any value of an input allowed; ids of items are ITEM."""
    is_known_BN = _is_known(inputs[ITEM], model.item_bias.shape[0])
    known_BN = there_BN = is_known_BN.astype(jnp.float32)
    activities_BNE = _look_up(model.activities.tables[ITEM][...], inputs[ITEM])
    ages_BN = None
    for feature in model.features:
        if feature.kind == "age":
            ages_BN = inputs[feature.name]
        elif feature.of == "activity":
            vectors_BNE = _vectors(model.activities.tables, feature, inputs)
            # Row 0 is an unknown value, and no vector of zeros.
            activities_BNE += vectors_BNE * there_BN[..., None]
    if ages_BN is not None:
        closing_BNN, there_BN = close_gaps(known_BN)
        gaps_BNE = _gap_vectors(model.activities.tables[AGE][...], ages_BN, known_BN, closing_BNN)
        activities_BNE = closing_BNN @ activities_BNE + gaps_BNE * there_BN[..., None]
    elif model.encoder.needs_order:
        closing_BNN, there_BN = close_gaps(known_BN)
        activities_BNE = closing_BNN @ activities_BNE
    encoded_BH = model.encoder.whole(activities_BNE, there_BN)
    of_user = {
        each.name: _vectors(model.users.tables, each, inputs)
        for each in model.features
        if each.of == "user"
    }
    return model.project(encoded_BH, jnp.any(is_known_BN, axis=1), model.users.join(of_user))


def _vectors(
    tables: Mapping[str, nnx.Param], feature: Feature, inputs: Mapping[str, jax.Array]
) -> Float[jax.Array, "B *N D"]:
    """Give the vectors of the values of a feature."""
    table_RD, given = tables[feature.name][...], inputs[feature.name]
    if feature.kind == "number":
        least = -LARGEST
        numbers = jnp.where(given <= LARGEST, given, 2 * least)
        return _in_buckets(numbers, [least, *map(float, feature.values)]) @ table_RD
    return _look_up(table_RD, given)


def _in_buckets(
    numbers: Float[jax.Array, "*shape"], bounds: Sequence[float]
) -> Float[jax.Array, "*shape R"]:
    """Tell by a 1 how many bounds each number reaches, 0 to all of them; NaN reaches none."""
    reaches = (numbers[..., None] >= np.array(bounds, np.float32)).astype(jnp.float32)
    first, last = reaches[..., :1], reaches[..., -1:]
    return jnp.concatenate([1 - first, reaches[..., :-1] - reaches[..., 1:], last], axis=-1)


def _gap_vectors(
    table_RE: Float[jax.Array, "R E"],
    ages_BN: Int[jax.Array, "B N"],
    there_BN: Float[jax.Array, "B N"],
    closing_BNN: Float[jax.Array, "B N N"],
) -> Float[jax.Array, "B N E"]:
    """Give the vectors of the gaps behind known activities, once these are at the right end.

    Ages are moved in two halves: a float32 is exact up to 2^24 s, half a year.
    """
    is_known_BN = (ages_BN >= 0) & (ages_BN < LONGEST) & (there_BN > 0)
    ages_BN = jnp.where(is_known_BN, ages_BN, 0)
    highs_BN = jax.lax.div(ages_BN, HALF)
    parts = [highs_BN, ages_BN - highs_BN * HALF, is_known_BN]
    parts_BN3 = jnp.stack([part.astype(jnp.float32) for part in parts], axis=-1)
    parts_BN3 = closing_BNN @ parts_BN3
    # Behind the last activity is now, whose age is known to be zero.
    now_B13 = jnp.tile(jnp.array([0.0, 0.0, 1.0]), (len(ages_BN), 1, 1))
    next_BN3 = jnp.concatenate([parts_BN3[:, 1:], now_B13], axis=1)
    steps_BN3 = parts_BN3 - next_BN3
    gaps_BN = steps_BN3[..., 0] * HALF + steps_BN3[..., 1]
    both_BN = parts_BN3[..., 2] * next_BN3[..., 2]
    gaps_BN = jnp.where(both_BN > 0, gaps_BN, UNKNOWN_AGE)
    return _in_buckets(gaps_BN, LEAST_GAPS) @ table_RE


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


def rate(
    model: RecommenderModel,
    context_BD: Float[jax.Array, "B D"],
    items_BM: Int[jax.Array, "B M"],
) -> tuple[Float[jax.Array, "B M"], Float[jax.Array, "B M K_minus_1"]]:
    """Give the expected rating of some items, and how likely each or a higher one is.

    What is unknown has no rating, NaN.
    """
    assert model.rating is not None
    biases_R = model.rating.bias[...]
    ids_BM = known_or_pad(items_BM, biases_R.shape[0])
    biases_BM = biases_R.at[ids_BM].get(mode="promise_in_bounds", wrap_negative_indices=False)
    logits = model.rating.logits(context_BD[:, None], vectors(model, items_BM), biases_BM)
    at_least = jnp.where((ids_BM == PAD)[..., None], jnp.nan, jax.nn.sigmoid(logits))
    return model.rating.expected(at_least), at_least


def known_or_pad(ids: Int[jax.Array, "*shape"], rows: int) -> Int[jax.Array, "*shape"]:
    """Replace every id that has no row in the table by PAD."""
    return jnp.where(_is_known(ids, rows), ids, PAD)


def _is_known(ids: Int[jax.Array, "*shape"], rows: int) -> Bool[jax.Array, "*shape"]:
    return (ids > PAD) & (ids < rows)


def _look_up(
    table_RE: Float[jax.Array, "R E"], ids: Int[jax.Array, "*shape"]
) -> Float[jax.Array, "*shape E"]:
    rows = table_RE.shape[0]
    one_hot_nR = jax.nn.one_hot(known_or_pad(ids, rows).reshape(-1), rows)
    return (one_hot_nR @ table_RE).reshape(*ids.shape, -1)


def close_gaps(
    there_BN: Float[jax.Array, "B N"],
) -> tuple[Float[jax.Array, "B N N"], Float[jax.Array, "B N"]]:
    """Give what moves the known to the right end, in its order; tell where it is then.

    A matrix of zeros and ones: the product with it is exact and adds 1 µs to a call at N = 10; a
    scatter of the ids would add 4.

    Args:
        there_BN: 1 where an activity is known, else 0.
    """
    length = there_BN.shape[1]
    met_BN = jnp.cumsum(there_BN, axis=1)
    # Place n takes the activity by which so many have been met; there is none below one.
    number_BN = met_BN[:, -1:] + np.arange(1 - length, 1, dtype=np.float32)
    takes_BNN = (number_BN[:, :, None] == met_BN[:, None, :]).astype(jnp.float32)
    return takes_BNN, (number_BN > 0).astype(jnp.float32)
