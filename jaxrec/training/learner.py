"""Learner: how a step changes the parameters, all of them or the rows that it touched."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Float

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.training.objective import Objective
from jaxrec.training.optimizer import make_optimizer, rate_schedule
from jaxrec.training.rows import by_item, few, init_gathered, put, take, with_tables
from jaxrec.training.step import TrainState, Update

# Up to so many items every row of their tables changes at each step.
SMALL_TABLE = 50_000

# Row-wise Adagrad's rate, as a multiple of AdamW's: of 3, 10, 30, 60, 100 and 120 on
# MovieLens 1M, 100 had the best validation (docs/speed.md).
TABLE_RATE = 100.0


class Learner(NamedTuple):
    """What makes a state, and the next one."""

    init: Callable[[nnx.State], TrainState]
    update: Update


def make_learner(objective: Objective, config: TrainConfig, total_steps: int) -> Learner:
    """Choose by what the configuration says, or by the size of the catalogue."""
    chosen = config.table_optimizer
    if chosen == "auto":
        chosen = "adamw" if objective.schema.items <= SMALL_TABLE else "rowwise-adagrad"
    learner = dense if chosen == "adamw" else by_rows
    return learner(objective, config, total_steps)


def dense(objective: Objective, config: TrainConfig, total_steps: int) -> Learner:
    """AdamW on every parameter."""
    optimizer = make_optimizer(config, total_steps)

    def init(params: nnx.State) -> TrainState:
        return _begin(params, optimizer.init(params))

    def update(
        state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, Float[jax.Array, ""]]:
        value, gradients = jax.value_and_grad(objective)(state.params, batch, key)
        params, optimizer_state = _apply(optimizer, gradients, state.optimizer, state.params)
        return state._replace(params=params, optimizer=optimizer_state), value

    return Learner(init, update)


def by_rows(objective: Objective, config: TrainConfig, total_steps: int) -> Learner:
    """Row-wise Adagrad on the rows of items that a step touches, AdamW on all else."""
    optimizer, schedule = make_optimizer(config, total_steps), rate_schedule(config, total_steps)
    # All gradients together; that the optimizer clips its part again changes nothing.
    clip = optax.clip_by_global_norm(config.clip_norm)

    def init(params: nnx.State) -> TrainState:
        tables = by_item(params)
        others = optimizer.init(with_tables(params, dict.fromkeys(tables)))
        return _begin(params, (others, init_gathered(tables)))

    def update(
        state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[TrainState, Float[jax.Array, ""]]:
        (optimizer_state, gathered), tables = state.optimizer, by_item(state.params)
        # As many as the tables have, where they are cut and padded too.
        rows_of_tables = len(next(iter(tables.values())))
        touched = few(batch, objective.draw(batch, key), rows_of_tables)
        rows = take(tables, touched.ids_T)
        value, gradients = jax.value_and_grad(objective.cost)(
            with_tables(state.params, rows), touched.batch, touched.negatives, key, touched.ids_T
        )
        gradients, _ = clip.update(gradients, clip.init(gradients))
        with jax.numpy_dtype_promotion("standard"):
            rate = TABLE_RATE * jnp.asarray(schedule(state.step))
        tables, gathered = put(tables, gathered, touched.ids_T, by_item(gradients), rate)
        without = dict.fromkeys(tables)
        others, optimizer_state = _apply(
            optimizer,
            with_tables(gradients, without),
            optimizer_state,
            with_tables(state.params, without),
        )
        params = with_tables(others, tables)
        return state._replace(params=params, optimizer=(optimizer_state, gathered)), value

    return Learner(init, update)


def _begin(params: nnx.State, optimizer: Any) -> TrainState:
    return TrainState(params, optimizer, jnp.zeros((), jnp.int32))


def _apply(
    optimizer: optax.GradientTransformation, gradients: Any, state: Any, params: Any
) -> tuple[Any, Any]:
    # optax raises floats to integer powers, which the strict promotion of our tests refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state
