"""Learner: AdamW on all parameters, or row-wise Adagrad on the item rows of a step."""

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
    rate_schedule,
)

# Row-wise Adagrad's rate, as a multiple of AdamW's: of 3, 10, 30, 60, 100 and 120 on
# MovieLens 1M, 100 had the best validation (docs/speed.md).
TABLE_RATE = 100.0


def make_learner(objective: Objective, config: TrainConfig, total_steps: int) -> Learner:
    """Choose by the configuration, or by the size of the catalogue."""
    make = sparse_learner if updates_rows(config, objective.schema.items) else adamw_learner
    return make(objective, config, total_steps)


def sparse_learner(objective: Objective, config: TrainConfig, total_steps: int) -> Learner:
    """Update the rows of items that a step touches by row-wise Adagrad, all else by AdamW."""
    optimizer, schedule = adamw(config, total_steps), rate_schedule(config, total_steps)
    # All gradients together; that the optimizer clips its part again changes nothing.
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
        # As many rows as the tables have, where they are padded too.
        batch = compact(objective.prepare(batch, keys), len(next(iter(tables.values()))))
        rows = with_tables(state.params, gather(tables, batch.item_rows))
        loss, gradients = jax.value_and_grad(objective.evaluate)(rows, batch, keys)
        gradients, _ = clip.update(gradients, clip.init(gradients))
        with jax.numpy_dtype_promotion("standard"):
            rate = TABLE_RATE * jnp.asarray(schedule(state.step))
        tables, accumulators = scatter_adagrad(
            tables, accumulators, batch.item_rows, item_tables(gradients), rate
        )
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
