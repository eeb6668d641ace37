"""Adapted scores: by the model's context of a history, and what was learned of its user."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.evaluation.ranking import Histories, Scorer
from jaxrec.evaluation.scores import Factors
from jaxrec.models.adapter import AdaptConfig, Adapted, Items, Past, adapt, moments, recency
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM

# Of so many users the scores of all activities are in memory at a time.
_AT_A_TIME = 16


def adapted_scorer(model: RecommenderModel, config: AdaptConfig, *, span: int) -> Scorer:
    """Score as a model does that learned of each user what a device can.

    Args:
        model: without features, but for those that are folded into its items; it reads the last
            `span` items, N. The scorer learns from longer histories, of M items.
    """
    graphdef, params = nnx.split(model)
    table_RD, bias_R = model.item_table, model.item_bias

    def score(histories: Histories) -> Factors:
        contexts_BD = _adapted(graphdef, span, config, params, jnp.asarray(histories[ITEM]))
        return Factors(contexts_BD, table_RD, bias_R)

    return score


@partial(jax.jit, static_argnums=(0, 1, 2))
def _adapted(
    graphdef: nnx.GraphDef[RecommenderModel],
    span: int,
    config: AdaptConfig,
    params: nnx.State,
    histories_BM: Int[jax.Array, "B M"],
) -> Float[jax.Array, "B D"]:
    model = nnx.merge(graphdef, params)
    weights_M = jnp.asarray(recency(histories_BM.shape[1], config.half_life))

    def one(history_M: Int[jax.Array, " M"]) -> Float[jax.Array, " D"]:
        last_D, found = learn_of(model, history_M, weights_M, span, config)
        return last_D + found.adapter_D

    return jax.lax.map(one, histories_BM, batch_size=_AT_A_TIME)


def learn_of(
    model: RecommenderModel,
    history_M: Int[jax.Array, " M"],
    weights_M: Float[jax.Array, " M"],
    span: int,
    config: AdaptConfig,
) -> tuple[Float[jax.Array, " D"], Adapted]:
    """Give the context at the end of a user's history, and what is learned of the user.

    Args:
        history_M: known ids at the right end, PAD before them.
        weights_M: how much each activity counts.
        span: how many items the model reads, N.
    """
    windows_WN, targets_M = moments(history_M, span)
    contexts_WD = model.encode_last({ITEM: windows_WN})
    items = Items(model.item_table, model.item_bias, model.item_table)
    found = adapt(Past(contexts_WD[:-1], targets_M), weights_M, items, config)
    return contexts_WD[-1], found
