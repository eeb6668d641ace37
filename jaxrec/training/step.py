"""The training step: loss, gradient, update; K steps in one dispatch, on pure state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.data.batching import Batch


class TrainState(NamedTuple):
    """All that training changes. Random keys are folded from the seed and the step, not kept.

    Attributes:
        params: the nnx.State of the model's parameters.
        optimizer: optax's state.
        step: steps done.
    """

    params: Any
    optimizer: Any
    step: Int[jax.Array, ""]


Loss = Callable[[nnx.State, Batch, jax.Array], Float[jax.Array, ""]]
Dispatch = Callable[[TrainState, Batch], tuple[TrainState, jax.Array]]


def init_state(params: nnx.State, optimizer: optax.GradientTransformation) -> TrainState:
    """Give the state before the first step."""
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32))


def make_dispatch(loss: Loss, optimizer: optax.GradientTransformation, seed: int) -> Dispatch:
    """Compile K training steps into one call, without a return to the host between them.

    Returns:
        A function of the state (donated) and K batches, to the next state and the loss of each
        step, [K].
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Float[jax.Array, ""]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        value, gradients = jax.value_and_grad(loss)(state.params, batch, key)
        # optax raises floats to integer powers, which the strict promotion of our tests refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, optimizer_state, state.step + 1), value

    def dispatch(state: TrainState, batches: Batch) -> tuple[TrainState, Float[jax.Array, " K"]]:
        return jax.lax.scan(step, state, batches)

    return jax.jit(dispatch, donate_argnums=0)
