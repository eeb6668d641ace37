"""Learners: AdamW on all parameters, or row-wise Adagrad on the item rows of a step."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Float

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.training.defaults import updates_rows
from jaxrec.training.objective import Objective, step_keys
from jaxrec.training.sparse_rows import (
    compact,
    gather,
    init_accumulators,
    item_tables,
    scatter_adagrad,
    with_tables,
)
from jaxrec.training.step import (
    Learner,
    TrainState,
    adamw,
    adamw_learner,
    apply,
)

# Learning rate of row-wise Adagrad as a multiple of AdamW's. Among 3, 10, 30, 60, 100 and 120, 100
# was the best on the validation targets of MovieLens 1M (experiments/studies/catalogue_sizes).
TABLE_RATE = 100.0


def make_learner(objective: Objective, config: TrainConfig, schedule: optax.Schedule) -> Learner:
    """Return the learner that the configuration, or else the size of the catalogue, selects."""
    if updates_rows(config, objective.schema.items):
        return sparse_learner(objective, config, schedule)
    return adamw_learner(objective, adamw(config, schedule))


def sparse_learner(objective: Objective, config: TrainConfig, schedule: optax.Schedule) -> Learner:
    """Return a learner with row-wise Adagrad for the item rows of a step and AdamW for the rest."""
    optimizer = adamw(config, schedule)
    # Clips all gradients together; the optimizer clips its part again, which has no effect.
    clip = optax.clip_by_global_norm(config.clip_norm)

    def init(params: nnx.State) -> TrainState:
        tables = item_tables(params)
        others = optimizer.init(with_tables(params, dict.fromkeys(tables)))
        return TrainState(params, (others, init_accumulators(tables)), jnp.zeros((), jnp.int32))

    def update(
        state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, Float[jax.Array, ""]]:
        (optimizer_state, accumulators), tables = state.optimizer, item_tables(state.params)
        keys = step_keys(key)
        # The number of rows that the tables have, including padding for sharding.
        batch = compact(objective.prepare(batch, keys), len(next(iter(tables.values()))))
        rows = with_tables(state.params, gather(tables, batch.item_rows))
        loss, gradients = jax.value_and_grad(objective.evaluate)(rows, batch, keys)
        gradients, _ = clip.update(gradients, clip.init(gradients))
        with jax.numpy_dtype_promotion("standard"):
            rate = TABLE_RATE * jnp.asarray(schedule(state.step))
        tables, accumulators = scatter_adagrad(
            tables, accumulators, batch.item_rows, item_tables(gradients), rate
        )
        # None is an empty subtree: optax neither reads nor updates the tables.
        without = dict.fromkeys(tables)
        others, optimizer_state = apply(
            optimizer,
            with_tables(gradients, without),
            optimizer_state,
            with_tables(state.params, without),
        )
        params = with_tables(others, tables)
        return state._replace(params=params, optimizer=(optimizer_state, accumulators)), loss

    return Learner(init, update)
