"""Adapted scores: from the model's query of a history plus an adapter of its user."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.evaluation.ranking import Histories, Scorer
from jaxrec.evaluation.scores import Factors
from jaxrec.models.adapter import (
    AdaptConfig,
    Examples,
    Items,
    TrainedAdapter,
    adapt,
    recency_weights,
    training_examples,
)
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM

# Users at a time: the scores of all items after each of their activities are in memory.
_BATCH_SIZE = 16


def adapted_scorer(model: RecommenderModel, config: AdaptConfig, *, history_length: int) -> Scorer:
    """Return a scorer that adapts a model to each user, as an exported file does on a device.

    Args:
        model: without features, except those that are folded into its item tables; it reads the
            last `history_length` items, N. Adapters are trained on longer histories, of M items.
    """
    graphdef, params = nnx.split(model)
    table_RD, bias_R = model.item_table, model.item_bias

    def score(histories: Histories) -> Factors:
        query_BD = _adapted_queries(
            graphdef, history_length, config, params, jnp.asarray(histories[ITEM])
        )
        return Factors(query_BD, table_RD, bias_R)

    return score


@partial(jax.jit, static_argnums=(0, 1, 2))
def _adapted_queries(
    graphdef: nnx.GraphDef[RecommenderModel],
    history_length: int,
    config: AdaptConfig,
    params: nnx.State,
    histories_BM: Int[jax.Array, "B M"],
) -> Float[jax.Array, "B D"]:
    model = nnx.merge(graphdef, params)
    weights_M = jnp.asarray(recency_weights(histories_BM.shape[1], config.half_life))

    def adapt_query(history_M: Int[jax.Array, " M"]) -> Float[jax.Array, " D"]:
        last_D, adapted = adapt_to_user(model, history_M, weights_M, history_length, config)
        return last_D + adapted.adapter_D

    return jax.lax.map(adapt_query, histories_BM, batch_size=_BATCH_SIZE)


def adapt_to_user(
    model: RecommenderModel,
    history_M: Int[jax.Array, " M"],
    weights_M: Float[jax.Array, " M"],
    history_length: int,
    config: AdaptConfig,
) -> tuple[Float[jax.Array, " D"], TrainedAdapter]:
    """Return the query at the end of a user's history, and the adapter of the user.

    Args:
        history_M: known ids at the right end, PAD before them.
        weights_M: weight of each activity in the training loss.
        history_length: number of items that the model reads, N.
    """
    windows_WN, targets_M = training_examples(history_M, history_length)
    query_WD = model.encode_last({ITEM: windows_WN})
    items = Items(model.item_table, model.item_bias, model.item_table)
    adapted = adapt(Examples(query_WD[:-1], targets_M), weights_M, items, config)
    return query_WD[-1], adapted
