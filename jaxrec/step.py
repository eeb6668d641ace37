"""The training step: loss, gradient, update; K steps in one dispatch, on pure state."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.config import TrainConfig
from jaxrec.features import PAD
from jaxrec.losses import full_softmax, sampled_softmax
from jaxrec.models.recommender import Recommender
from jaxrec.negatives import draw_negatives

History = Mapping[str, jax.Array]


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


# On the host, batches are NumPy's.
Dispatch = Callable[
    [TrainState, Mapping[str, jax.Array | np.ndarray], jax.Array | np.ndarray],
    tuple[TrainState, jax.Array],
]


def make_optimizer(config: TrainConfig, total_steps: int) -> optax.GradientTransformation:
    """AdamW with clipped gradients, linear warm-up and cosine decay to zero.

    Weight decay pulls on matrices alone: a bias that is pulled to zero forgets how popular its
    item is.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=round(config.warmup * total_steps),
        decay_steps=total_steps,
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )


def init_state(params: nnx.State, optimizer: optax.GradientTransformation) -> TrainState:
    """Give the state before the first step."""
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32))


def make_dispatch(
    graphdef: nnx.GraphDef[Recommender],
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    log_popularity_R: Float[jax.Array, " R"],
) -> Dispatch:
    """Compile K training steps into one call, without a return to the host between them.

    Returns:
        A function of the state (donated), the histories {name: [K, B, L]} and the targets
        ([K, B, L] or [K, B]), to the next state and the mean loss of each step, [K].
    """

    def loss_of(
        params: nnx.State, history: History, targets: Int[jax.Array, "B *L"], key: jax.Array
    ) -> Float[jax.Array, ""]:
        model = nnx.merge(graphdef, params)
        negatives_key, dropout_key = jax.random.split(key)
        if config.positions == "all":
            context_LBD = jnp.swapaxes(model.contexts(history, dropout_key), 0, 1)
            targets_LB = targets.T
        else:
            context_LBD, targets_LB = model.context(history, dropout_key)[None], targets[None]
        scored = (context_LBD, targets_LB, model.item_table, model.item_bias)
        if config.loss == "full-softmax":
            loss_LB = full_softmax(*scored)
        else:
            negatives = draw_negatives(
                negatives_key, config.sampler, config.negatives, targets_LB, log_popularity_R
            )
            loss_LB = sampled_softmax(*scored, *negatives)
        is_target_LB = (targets_LB != PAD).astype(loss_LB.dtype)
        return jnp.sum(loss_LB * is_target_LB) / jnp.maximum(jnp.sum(is_target_LB), 1)

    def step(
        state: TrainState, batch: tuple[History, jax.Array]
    ) -> tuple[TrainState, Float[jax.Array, ""]]:
        history, targets = batch
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        loss, gradients = jax.value_and_grad(loss_of)(state.params, history, targets, key)
        # optax raises floats to integer powers, which the strict promotion of our tests refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, optimizer_state, state.step + 1), loss

    def dispatch(
        state: TrainState, history_KBL: History, targets: Int[jax.Array, "K B *L"]
    ) -> tuple[TrainState, Float[jax.Array, " K"]]:
        return jax.lax.scan(step, state, (history_KBL, targets))

    return jax.jit(dispatch, donate_argnums=0)
