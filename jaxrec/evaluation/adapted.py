"""Adapted scores: by the model's context of a history, and what was learned of its user."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.evaluation.ranking import Histories, Scorer
from jaxrec.evaluation.scores import Factors
from jaxrec.models.adapter import AdaptConfig, Items, Past, adapt
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, PAD

# Of so many users the scores of all activities are in memory at a time.
_AT_A_TIME = 16


def adapted_scorer(model: RecommenderModel, config: AdaptConfig, *, span: int) -> Scorer:
    """Score as a model does that learned of each user what a device can.

    Args:
        model: without features, but for those that are folded into its items; it reads the last
            `span` items, N. The scorer learns from longer histories, of N + M items.
    """
    graphdef, params = nnx.split(model)
    items = Items(model.item_table, model.item_bias)

    def score(histories: Histories) -> Factors:
        contexts_BD = _adapted(graphdef, span, config, params, jnp.asarray(histories[ITEM]))
        return Factors(contexts_BD, *items)

    return score


@partial(jax.jit, static_argnums=(0, 1, 2))
def _adapted(
    graphdef: nnx.GraphDef[RecommenderModel],
    span: int,
    config: AdaptConfig,
    params: nnx.State,
    histories_BL: Int[jax.Array, "B L"],
) -> Float[jax.Array, "B D"]:
    model = nnx.merge(graphdef, params)
    items = Items(model.item_table, model.item_bias)

    def one(history_L: Int[jax.Array, " L"]) -> Float[jax.Array, " D"]:
        past, last_D = past_of(model, history_L, span, config.activities)
        return last_D + adapt(past, items, config).adapter_D

    return jax.lax.map(one, histories_BL, batch_size=_AT_A_TIME)


def past_of(
    model: RecommenderModel, history_L: Int[jax.Array, " L"], span: int, activities: int
) -> tuple[Past, Float[jax.Array, " D"]]:
    """Give what can be learned of the last activities of a history, and the context at its end.

    An activity before which nothing was known teaches nothing.
    """
    length = len(history_L)
    count = min(activities, length)
    ends_W = jnp.arange(length - count, length + 1)
    windows_WN = jnp.pad(history_L, (span, 0))[ends_W[:, None] + jnp.arange(span)]
    contexts_WD = model.context({ITEM: windows_WN})
    targets_M = jnp.where(windows_WN[:-1, -1] != PAD, history_L[length - count :], PAD)
    return Past(contexts_WD[:-1], targets_M), contexts_WD[-1]
