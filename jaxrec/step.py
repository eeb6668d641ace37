"""The training step: loss, gradient, update; K steps in one dispatch, on pure state."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Bool, Float, Int, UInt8

from jaxrec.config import TrainConfig
from jaxrec.data.batching import Batches
from jaxrec.losses import full_softmax, sampled_softmax
from jaxrec.models.recommender import Recommender
from jaxrec.negatives import draw_negatives


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


# Where the configuration leaves it to us: a catalogue of so many items is compared with whole,
# a larger one through so many negatives.
SMALL_CATALOGUE = 5000
NEGATIVES = 512

Dispatch = Callable[[TrainState, Batches], tuple[TrainState, jax.Array]]

# Batches as seen from within: history {name: [B, L]}, targets [B, W], seen [B, bytes].
Batch = tuple[Mapping[str, jax.Array], jax.Array, jax.Array | None]


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
    history_length: int,
) -> Dispatch:
    """Compile K training steps into one call, without a return to the host between them.

    Returns:
        A function of the state (donated) and the batches, to the next state and the mean loss of
        each step, [K].
    """
    negatives = negatives_of(config, log_popularity_R.shape[0] - 1)

    def loss_of(params: nnx.State, batch: Batch, key: jax.Array) -> Float[jax.Array, ""]:
        history, targets, seen = batch
        model = nnx.merge(graphdef, params)
        negatives_key, dropout_key = jax.random.split(key)
        context_WBD = model.contexts(history, targets.shape[1], history_length, dropout_key)
        scored = (context_WBD, targets.T, model.item_table, model.item_bias)
        if negatives is None:
            everything_R = jnp.arange(log_popularity_R.shape[0])
            return full_softmax(*scored, look_up_seen(seen, everything_R))
        negatives_S, log_expected_S = draw_negatives(
            negatives_key, config.sampler, negatives, targets, log_popularity_R
        )
        left_out_BS = look_up_seen(seen, negatives_S)
        return sampled_softmax(*scored, negatives_S, log_expected_S, left_out_BS)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Float[jax.Array, ""]]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        loss, gradients = jax.value_and_grad(loss_of)(state.params, batch, key)
        # optax raises floats to integer powers, which the strict promotion of our tests refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, optimizer_state, state.step + 1), loss

    def dispatch(state: TrainState, batches: Batch) -> tuple[TrainState, Float[jax.Array, " K"]]:
        return jax.lax.scan(step, state, batches)

    return jax.jit(dispatch, donate_argnums=0)


def negatives_of(config: TrainConfig, catalogue_size: int) -> int | None:
    """Give how many negatives are drawn in a step; None: every item is compared with."""
    is_small = catalogue_size <= SMALL_CATALOGUE
    if config.loss == "full-softmax" or (
        config.loss == "auto" and config.negatives is None and is_small
    ):
        return None
    return config.negatives or NEGATIVES


def look_up_seen(
    seen: UInt8[jax.Array, "B bytes"] | None, ids_S: Int[jax.Array, " S"]
) -> Bool[jax.Array, "B S"] | None:
    """Tell which ids each row has seen, from the bits of `batching.Batches`."""
    if seen is None:
        return None
    bits_S = jnp.left_shift(jnp.uint8(1), (ids_S % 8).astype(jnp.uint8))
    return (seen[:, ids_S // 8] & bits_S) != 0
