"""The model as computed on a device: the trained parameters, in the cheapest builtin operations.

It computes what `jaxrec.models` computes from the known ids of a history, in their order: padding
and unknown ids have no effect at any position. The encoder's `encode_last` is used unchanged; its
inputs are computed differently:

- A lookup is a product with a one-hot matrix, which TensorFlow Lite folds into EMBEDDING_LOOKUP. A
  plain index would be clamped, and -1 would read the last row.
- The row of PAD is zero in the item table, or in both if untied, so that lookups need no mask.
- Known activities are gathered at the right end.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int, Shaped

from jaxrec.conversion.inputs import is_compared
from jaxrec.data.feature_values import MAX_MAGNITUDE
from jaxrec.data.gaps import GAP_EDGES, MAX_GAP
from jaxrec.models import adapter
from jaxrec.models.adapter import AdaptConfig, Examples, Items, TrainedAdapter
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, PAD, Feature

# Ages have 30 bits; they are split into two halves of 15.
AGE_HALF = 1 << 15


def zero_padding_rows(model: RecommenderModel) -> RecommenderModel:
    """Return a copy of the model whose item tables are zero in the row of PAD."""
    graphdef, params = nnx.split(model)
    model = nnx.merge(graphdef, jax.tree.map(jnp.copy, params))
    for table in (model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])):
        table[...] = table[...].at[PAD].set(0)
    return model


def encode(
    model: RecommenderModel, inputs: Mapping[str, Shaped[jax.Array, "B *N"]]
) -> Float[jax.Array, "B D"]:
    """Return the query of each history; item ids are the input ITEM, and any value is allowed."""
    is_known_BN = _is_known(inputs[ITEM], model.item_bias.shape[0])
    valid_BN = is_known_BN.astype(jnp.float32)
    activities_BNE = _look_up(model.activities.tables[ITEM][...], inputs[ITEM])
    of_activities = [each for each in model.features if each.of == "activity"]
    for feature in of_activities:
        given_BN1, table_RE = inputs[feature.name][..., None], model.activities.tables[feature.name]
        if feature.kind == "age":
            given_BN1 = _time_gaps(given_BN1, valid_BN)
        activities_BNE += _feature_embeddings(table_RE[...], feature, given_BN1)
    if of_activities:
        # Unknown feature values have an embedding too, but positions without an activity are zero.
        activities_BNE *= valid_BN[..., None]
    activities_BNE, valid_BN = right_align(activities_BNE, valid_BN)
    encoded_BH = model.encoder.encode_last(activities_BNE, valid_BN)
    tables = model.context_features.tables
    embeddings = {
        each.name: _feature_embeddings(tables[each.name][...], each, inputs[each.name][..., None])
        for each in model.features
        if each.of != "activity"
    }
    about_BD, is_filled_B = model.context_features.combine(embeddings), jnp.any(is_known_BN, axis=1)
    return model.project(encoded_BH, activities_BNE[:, -1], is_filled_B, about_BD)


def _feature_embeddings(
    table_RE: Float[jax.Array, "R E"], feature: Feature, given: Shaped[jax.Array, "*shape 1"]
) -> Float[jax.Array, "*shape E"]:
    """Return the embeddings of a feature's values; row 0 for unknown values.

    With few values, comparisons are cheaper than a lookup with its range checks. The 0/1 row of the
    comparisons selects a difference from row 0, which is then added: no value needs a mask.
    """
    if not is_compared(feature):
        return _look_up(table_RE, given[..., 0])
    if feature.kind == "id":
        is_value = given == np.arange(1, feature.size + 1, dtype=np.int32)
    else:
        edges = [-MAX_MAGNITUDE, *feature.values, np.nextafter(np.float32(MAX_MAGNITUDE), np.inf)]
        if feature.kind == "age":
            edges = [*GAP_EDGES, MAX_GAP]
        bounds = np.array(edges, np.float32)
        is_value = (given >= bounds[:-1]) & (given < bounds[1:])
    return is_value.astype(jnp.float32) @ (table_RE[1:] - table_RE[0]) + table_RE[0]


def _time_gaps(
    ages_BN1: Int[jax.Array, "B N 1"], valid_BN: Float[jax.Array, "B N"]
) -> Float[jax.Array, "B N 1"]:
    """Return the seconds from each activity to the next known one, or to now.

    A gap with an unknown age at either end is negative, or MAX_GAP or more. Ages are subtracted in
    two halves, because a float32 is exact up to 2^24 s only, half a year.
    """
    length = valid_BN.shape[1]
    ranks_BN = jnp.cumsum(valid_BN, axis=1)
    is_next_BNN = ranks_BN[:, :, None] + 1 == ranks_BN[:, None, :]
    next_BNN = is_next_BNN.astype(jnp.float32) * valid_BN[:, None, :]
    highs_BN1 = jax.lax.div(ages_BN1, AGE_HALF)
    lows_BN1 = (ages_BN1 - highs_BN1 * AGE_HALF).astype(jnp.float32)
    # Unknown ages are made larger than every known one, and than the unknown ones before them: the
    # gap from an unknown age is too long, and the gap to it is negative.
    is_unknown_BN1 = (ages_BN1 < 0) | (ages_BN1 >= MAX_GAP)
    beyond_N1 = 2.0**20 * np.arange(1, length + 1, dtype=np.float32)[:, None]
    highs_BN1 = highs_BN1.astype(jnp.float32) + is_unknown_BN1.astype(jnp.float32) * beyond_N1
    high_steps_BN1 = highs_BN1 - next_BNN @ highs_BN1
    return high_steps_BN1 * AGE_HALF + (lows_BN1 - next_BNN @ lows_BN1)


def gather_candidates(
    scores_BR: Float[jax.Array, "B R"], candidates_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Gather the scores of the candidates; unknown ids get PAD's score."""
    ids_BM = known_or_pad(candidates_BM, scores_BR.shape[1])
    return jnp.take_along_axis(scores_BR, ids_BM, axis=1, mode="promise_in_bounds")


def item_embeddings(
    model: RecommenderModel, items_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M D"]:
    """Return the embeddings that score some items; zero for unknown ids."""
    return _look_up(model.item_table, items_BM)


def item_biases(
    model: RecommenderModel, items_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Return the biases of some items; unknown ids get PAD's bias."""
    return _gather_entries(model.item_bias, items_BM)


def predict(
    model: RecommenderModel,
    name: str,
    query_BD: Float[jax.Array, "B D"],
    items_BM: Int[jax.Array, "B M"],
) -> dict[str, Float[jax.Array, "B M *_"]]:
    """Return the outputs of a head for some items; NaN for unknown ids."""
    head = model.heads[name]
    rows = {
        each: _gather_entries(getattr(head, each)[...], items_BM) for each in head.item_parameters
    }
    logits = head.logits(query_BD[:, None], item_embeddings(model, items_BM), rows)
    is_known_BM = _is_known(items_BM, model.item_bias.shape[0])
    return head.predict(jnp.where(is_known_BM[..., None], logits, jnp.nan))


def adapt(
    model: RecommenderModel,
    activities_M: Int[jax.Array, " M"],
    weights_M: Float[jax.Array, " M"],
    history_length: int,
    config: AdaptConfig,
) -> TrainedAdapter:
    """Compute the adapter of one user; any ids are allowed.

    Args:
        history_length: number of items that the model reads, N.
    """
    rows = model.item_bias.shape[0]
    history_M = known_or_pad(activities_M, rows)
    windows_WN, targets_M = adapter.training_examples(history_M, history_length)
    queries_MD = encode(model, {ITEM: windows_WN[:-1]})
    # The whole table, looked up by ids that depend on an input, so that the converter cannot fold
    # them: a constant table would be stored a second time, transposed, and the ids with it.
    one = jnp.clip(history_M[0], 1, 1)
    every_R = jnp.cumsum(jnp.broadcast_to(one, rows)) - 1
    table_RD = jax.nn.one_hot(every_R, rows) @ model.item_table
    items = Items(model.item_table, model.item_bias, table_RD)
    return adapter.adapt(Examples(queries_MD, targets_M), weights_M, items, config)


def _gather_entries(
    values_R: Float[jax.Array, " R"], items_BM: Int[jax.Array, "B M"]
) -> Float[jax.Array, "B M"]:
    """Gather an entry for each item; PAD's for unknown ids."""
    ids_BM = known_or_pad(items_BM, values_R.shape[0])
    return values_R.at[ids_BM].get(mode="promise_in_bounds", wrap_negative_indices=False)


def known_or_pad(ids: Int[jax.Array, "*shape"], rows: int) -> Int[jax.Array, "*shape"]:
    """Replace every id without a row in the table by PAD."""
    return jnp.where(_is_known(ids, rows), ids, PAD)


def _is_known(ids: Int[jax.Array, "*shape"], rows: int) -> Bool[jax.Array, "*shape"]:
    return (ids > PAD) & (ids < rows)


def _look_up(
    table_RE: Float[jax.Array, "R E"], ids: Int[jax.Array, "*shape"]
) -> Float[jax.Array, "*shape E"]:
    rows = table_RE.shape[0]
    one_hot_nR = jax.nn.one_hot(known_or_pad(ids, rows).reshape(-1), rows)
    return (one_hot_nR @ table_RE).reshape(*ids.shape, -1)


def right_align(
    activities_BNE: Float[jax.Array, "B N E"], valid_BN: Float[jax.Array, "B N"]
) -> tuple[Float[jax.Array, "B N E"], Float[jax.Array, "B N"]]:
    """Gather the known activities at the right end, in their order, and return their mask too.

    The product with a matrix of zeros and ones is exact and adds 1 µs to a call at N = 10; a
    scatter of the ids would add 4 µs.

    Args:
        activities_BNE: zero where the mask is zero.
        valid_BN: the mask, 1 where an activity is known, else 0.
    """
    length = valid_BN.shape[1]
    ranks_BN = jnp.cumsum(valid_BN, axis=1)
    # Each output position takes the activity of its rank; no activity has a rank below 1.
    output_ranks_BN = ranks_BN[:, -1:] + np.arange(1 - length, 1, dtype=np.float32)
    is_taken_BNN = (output_ranks_BN[:, :, None] == ranks_BN[:, None, :]).astype(jnp.float32)
    # A gap has the rank of the activity before it, but its row is zero and adds nothing.
    return is_taken_BNN @ activities_BNE, (output_ranks_BN > 0).astype(jnp.float32)
