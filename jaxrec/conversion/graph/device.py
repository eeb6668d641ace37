"""The model as a device computes it: the trained parameters, in the cheapest builtin operations.

It says what `jaxrec.models` says of the known ids of a history, in their order: padding and unknown
ids weigh nothing wherever they stand. What differs is how a history comes to the encoder, whose
`encode_last` ships as it is:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The item row of PAD is zero, in both tables if there are two, so that no mask follows a lookup.
- Known activities are moved together at the right end.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int, Shaped

from jaxrec.conversion.inputs import is_compared
from jaxrec.data.feature_values import LARGEST
from jaxrec.data.gaps import LEAST_GAPS, LONGEST
from jaxrec.models import adapter
from jaxrec.models.adapter import AdaptConfig, Adapted, Items, Past
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, PAD, Feature

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
    """Return the query of each history, any value of an input allowed; ids of items are ITEM."""
    is_known_BN = _is_known(inputs[ITEM], model.item_bias.shape[0])
    there_BN = is_known_BN.astype(jnp.float32)
    activities_BNE = _look_up(model.activities.tables[ITEM][...], inputs[ITEM])
    of_activities = [each for each in model.features if each.of == "activity"]
    for feature in of_activities:
        given_BN1, table_RE = inputs[feature.name][..., None], model.activities.tables[feature.name]
        if feature.kind == "age":
            given_BN1 = _gaps(given_BN1, there_BN)
        activities_BNE += _vectors(table_RE[...], feature, given_BN1)
    if of_activities:
        # An unknown value has a vector, but where there is no activity there is none.
        activities_BNE *= there_BN[..., None]
    activities_BNE, there_BN = close_gaps(activities_BNE, there_BN)
    encoded_BH = model.encoder.encode_last(activities_BNE, there_BN)
    tables = model.circumstances.tables
    about = {
        each.name: _vectors(tables[each.name][...], each, inputs[each.name][..., None])
        for each in model.features
        if each.of != "activity"
    }
    about_BD, is_filled_B = model.circumstances.join(about), jnp.any(is_known_BN, axis=1)
    return model.project(encoded_BH, activities_BNE[:, -1], is_filled_B, about_BD)


def _vectors(
    table_RE: Float[jax.Array, "R E"], feature: Feature, given: Shaped[jax.Array, "*shape 1"]
) -> Float[jax.Array, "*shape E"]:
    """Give the vectors of the values of a feature, row 0 for what is no value.

    A few comparisons are less work than the guards of a lookup. The difference of each row from row
    0 is added to it, so that nothing needs to tell what is unknown.
    """
    if not is_compared(feature):
        return _look_up(table_RE, given[..., 0])
    if feature.kind == "id":
        is_value = given == np.arange(1, feature.size + 1, dtype=np.int32)
    else:
        edges = [-LARGEST, *feature.values, np.nextafter(np.float32(LARGEST), np.inf)]
        if feature.kind == "age":
            edges = [*LEAST_GAPS, LONGEST]
        bounds = np.array(edges, np.float32)
        is_value = (given >= bounds[:-1]) & (given < bounds[1:])
    return is_value.astype(jnp.float32) @ (table_RE[1:] - table_RE[0]) + table_RE[0]


def _gaps(
    ages_BN1: Int[jax.Array, "B N 1"], there_BN: Float[jax.Array, "B N"]
) -> Float[jax.Array, "B N 1"]:
    """Give the seconds from each activity to the next one that is known, or to now.

    Less than zero or LONGEST and more, if one of the two is unknown. Ages are subtracted in two
    halves: a float32 is exact up to 2^24 s, half a year.
    """
    length = there_BN.shape[1]
    met_BN = jnp.cumsum(there_BN, axis=1)
    is_next_BNN = met_BN[:, :, None] + 1 == met_BN[:, None, :]
    next_BNN = is_next_BNN.astype(jnp.float32) * there_BN[:, None, :]
    highs_BN1 = jax.lax.div(ages_BN1, HALF)
    lows_BN1 = (ages_BN1 - highs_BN1 * HALF).astype(jnp.float32)
    # What is unknown lies further back than anything known, and than anything unknown before it
    # does: from it is too long, to it is less than zero.
    is_unknown_BN1 = (ages_BN1 < 0) | (ages_BN1 >= LONGEST)
    beyond_N1 = 2.0**20 * np.arange(1, length + 1, dtype=np.float32)[:, None]
    highs_BN1 = highs_BN1.astype(jnp.float32) + is_unknown_BN1.astype(jnp.float32) * beyond_N1
    high_steps_BN1 = highs_BN1 - next_BNN @ highs_BN1
    return high_steps_BN1 * HALF + (lows_BN1 - next_BNN @ lows_BN1)


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
    return _entries(model.item_bias, items_BM)


def predict(
    model: RecommenderModel,
    name: str,
    query_BD: Float[jax.Array, "B D"],
    items_BM: Int[jax.Array, "B M"],
) -> dict[str, Float[jax.Array, "B M *_"]]:
    """Return the outputs of a head for some items, NaN for those that are unknown."""
    head = model.heads[name]
    rows = {each: _entries(getattr(head, each)[...], items_BM) for each in head.item_parameters}
    logits = head.logits(query_BD[:, None], vectors(model, items_BM), rows)
    is_known_BM = _is_known(items_BM, model.item_bias.shape[0])
    return head.predict(jnp.where(is_known_BM[..., None], logits, jnp.nan))


def adapt(
    model: RecommenderModel,
    activities_M: Int[jax.Array, " M"],
    weights_M: Float[jax.Array, " M"],
    span: int,
    config: AdaptConfig,
) -> Adapted:
    """Learn of one user; any ids allowed.

    Args:
        span: how many items the model reads, N.
    """
    rows = model.item_bias.shape[0]
    history_M = known_or_pad(activities_M, rows)
    windows_WN, targets_M = adapter.moments(history_M, span)
    contexts_MD = encode(model, {ITEM: windows_WN[:-1]})
    # The whole table, looked up by ids that nobody can tell are the same in every call: as a
    # constant it would be stored a second time, lying, and so would be the ids.
    one = jnp.clip(history_M[0], 1, 1)
    every_R = jnp.cumsum(jnp.broadcast_to(one, rows)) - 1
    table_RD = jax.nn.one_hot(every_R, rows) @ model.item_table
    items = Items(model.item_table, model.item_bias, table_RD)
    return adapter.adapt(Past(contexts_MD, targets_M), weights_M, items, config)


def _entries(
    values_R: Float[jax.Array, " R"], items_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Give an entry for each item; for unknown ids PAD's."""
    ids_BM = known_or_pad(items_BM, values_R.shape[0])
    return values_R.at[ids_BM].get(mode="promise_in_bounds", wrap_negative_indices=False)


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
