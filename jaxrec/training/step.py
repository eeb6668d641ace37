"""The training step: pure functions of the state, K steps per dispatch, and AdamW."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import Batch

Scalar = Float[jax.Array, ""]


class TrainState(NamedTuple):
    """Training state, without random keys: these are folded from the seed and the step.

    Attributes:
        params: the nnx.State of the model's parameters.
        optimizer: the state of the optimizer.
        step: number of completed steps.
    """

    params: Any
    optimizer: Any
    step: Int[jax.Array, ""]


class Learner(NamedTuple):
    """An update rule: `init` returns the first state, and `update` the next state and the loss."""

    init: Callable[[Any], TrainState]
    update: Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Scalar]]


Dispatch = Callable[[TrainState, Batch], tuple[TrainState, jax.Array]]


def name_of(path: Any) -> str:
    """Return the name of a leaf of a state from its path, such as "encoder.layers.0.bias"."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


def make_dispatch(learner: Learner, seed: int) -> Dispatch:
    """Compile K training steps into one call, without a return to the host between them.

    Returns:
        A function of the state (donated) and K batches, which returns the next state and the loss
        of each step, [K].
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Scalar]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)  # the same after a resume
        state, loss = learner.update(state, batch, key)
        return state._replace(step=state.step + 1), loss

    def dispatch(state: TrainState, batches: Batch) -> tuple[TrainState, Float[jax.Array, " K"]]:
        return jax.lax.scan(step, state, batches)

    return jax.jit(dispatch, donate_argnums=0)  # tables are updated in place, not copied


def adamw_learner(
    objective: Callable[[Any, Batch, jax.Array], Scalar], optimizer: optax.GradientTransformation
) -> Learner:
    """Return a learner that updates every parameter by AdamW."""

    def init(params: Any) -> TrainState:
        return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32))

    def update(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Scalar]:
        loss, gradients = jax.value_and_grad(objective)(state.params, batch, key)
        params, optimizer_state = apply(optimizer, gradients, state.optimizer, state.params)
        return state._replace(params=params, optimizer=optimizer_state), loss

    return Learner(init, update)


def adamw(config: TrainConfig, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Return AdamW with clipped gradients.

    Weight decay applies to matrices alone: an item bias that decays to zero would lose the
    popularity of the item.
    """
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )


def rate_schedule(peak: float, config: TrainConfig, total_steps: int) -> optax.Schedule:
    """Return the learning rate schedule: linear warm-up, then cosine decay to zero."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,  # Adam's second moments are noise in the first steps
        peak_value=peak,
        warmup_steps=round(config.warmup * total_steps),
        decay_steps=total_steps,
    )


def apply(
    optimizer: optax.GradientTransformation, gradients: Any, state: Any, params: Any
) -> tuple[Any, Any]:
    """Return the updated parameters and the next state of the optimizer."""
    # optax raises floats to integer powers, which the strict promotion of our tests rejects.
    with jax.numpy_dtype_promotion("standard"):
        updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state
