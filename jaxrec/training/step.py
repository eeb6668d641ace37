"""The training step: K of them in one dispatch, on pure state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
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


Update = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Float[jax.Array, ""]]]
"""A step: from a state, a batch and a key to the next state and the loss."""

Dispatch = Callable[[TrainState, Batch], tuple[TrainState, jax.Array]]


def name_of(path: Any) -> str:
    """Name a part of a state by its path: "encoder.layers.0.bias"."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")


def make_dispatch(update: Update, seed: int) -> Dispatch:
    """Compile K training steps into one call, without a return to the host between them.

    Returns:
        A function of the state (donated) and K batches, to the next state and the loss of each
        step, [K].
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Float[jax.Array, ""]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        state, value = update(state, batch, key)
        return state._replace(step=state.step + 1), value

    def dispatch(state: TrainState, batches: Batch) -> tuple[TrainState, Float[jax.Array, " K"]]:
        return jax.lax.scan(step, state, batches)

    return jax.jit(dispatch, donate_argnums=0)
