"""Averaging: a round of the server, one pure function of its state and of a cohort's windows."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Int

from jaxrec.data.batching import Batch
from jaxrec.federated.clients import learn_locally
from jaxrec.federated.clipping import clip
from jaxrec.federated.cohorts import CLIENTS_AT_A_TIME
from jaxrec.federated.settings import FederatedConfig
from jaxrec.federated.sharing import join, part
from jaxrec.training.objective import Objective
from jaxrec.training.sparse_rows import Tables
from jaxrec.training.step import TrainState

# As in Adaptive Federated Optimization (Reddi et al., 2021): what is added to Adam's root, and how
# long it remembers.
_ADAPTIVITY, _DECAYS = 1e-3, (0.9, 0.99)
_RATES = {"fedavg": 1.0, "fedadam": 0.003}


class RoundFacts(NamedTuple):
    """What a round tells of itself: sums over its clients, scalars of JAX or of Python.

    Attributes:
        clients: who took part ...
        left_out: ... of these, whose updates were no numbers, and count as zero ...
        shortened: ... and whose were clipped.
        targets: what they learned from.
        loss: the sum of their mean losses; nothing of those that are left out.
    """

    clients: Any
    left_out: Any
    shortened: Any
    targets: Any
    loss: Any


Round = Callable[[TrainState, Any, Batch], tuple[TrainState, RoundFacts]]
"""From the server's state (donated) and the numbers and windows of a cohort, -1 for nobody, to the
next state."""


class RoundKeys(NamedTuple):
    """What is drawn in a round: who takes part, their windows, what learning draws, the noise."""

    cohort: jax.Array
    windows: jax.Array
    learning: jax.Array
    noise: jax.Array


def round_keys(seed: int, number: int | jax.Array) -> RoundKeys:
    """Give the keys of round 0, 1, 2, ..."""
    return RoundKeys(*jax.random.split(jax.random.fold_in(jax.random.key(seed), number), 4))


def server_optimizer(config: FederatedConfig) -> optax.GradientTransformation:
    """Give what the server does with the mean of what came in, as if it were a gradient."""
    asked = config.server_learning_rate
    rate = _RATES[config.server_optimizer] if asked is None else asked
    if config.server_optimizer == "fedadam":
        return optax.adam(rate, *_DECAYS, eps=_ADAPTIVITY)
    # As a schedule, for a checkpoint needs a state that is not empty.
    return optax.sgd(optax.constant_schedule(rate))


def begin(params: Any, config: FederatedConfig) -> TrainState:
    """Make the server's state before the first round: the whole model, and the optimizer's."""
    shared, _ = part(params, config.share)
    return TrainState(params, server_optimizer(config).init(shared), jnp.zeros((), jnp.int32))


def make_round(objective: Objective, config: FederatedConfig, noise_multiplier: float) -> Round:
    """Compile a round into one call.

    Args:
        noise_multiplier: standard deviation of the noise on the sum, as a multiple of the norm
            that updates are clipped to.
    """

    def one_round(
        state: TrainState, cohort_P: Int[jax.Array, " P"], batches: Batch
    ) -> tuple[TrainState, RoundFacts]:
        shared, kept = part(state.params, config.share)
        keys = round_keys(config.seed, state.step)
        learn = partial(contribute, objective, shared, kept, keys.learning, config)

        def add(total: Any, chunk: tuple[jax.Array, Batch]) -> tuple[Any, None]:
            def some() -> Any:
                summed = jax.tree.map(lambda leaf: leaf.sum(axis=0), jax.vmap(learn)(*chunk))
                return jax.tree.map(jnp.add, total, summed)

            # Places that nobody takes cost nothing.
            return jax.lax.cond(jnp.any(chunk[0] >= 0), some, lambda: total), None

        nothing = (
            jax.tree.map(jnp.zeros_like, shared),
            RoundFacts(*[jnp.int32(0)] * 4, loss=jnp.float32(0)),
        )
        side_by_side = (len(cohort_P) // CLIENTS_AT_A_TIME, CLIENTS_AT_A_TIME)
        chunks = jax.tree.map(
            lambda each: each.reshape(*side_by_side, *each.shape[1:]), (cohort_P, batches)
        )
        (summed, told), _ = jax.lax.scan(add, nothing, chunks)
        return change(state, summed, keys.noise, config, noise_multiplier), told

    return jax.jit(one_round, donate_argnums=0)


def contribute(
    objective: Objective,
    shared: Any,
    kept: Tables,
    key: jax.Array,
    config: FederatedConfig,
    client: Int[jax.Array, ""],
    batches: Batch,
) -> tuple[Any, RoundFacts]:
    """Do what one client does in a round, and give what may leave its device.

    Args:
        shared: the parameters that the client changes ...
        kept: ... and those that it reads alone.
        key: of the round, for what learning draws.
        client: its number; -1 is nobody, who sends zeros.
        batches: one for each step, with an axis of steps before all others.

    Returns:
        The clipped update, and what is told of it.
    """
    own_key = jax.random.fold_in(key, client)
    update, loss = learn_locally(
        objective, shared, kept, batches, own_key, config.local_learning_rate
    )
    clipped, is_there = clip(update, config.clip_norm), client >= 0
    counts = is_there & clipped.is_finite
    sent = jax.tree.map(lambda leaf: jnp.where(is_there, leaf, 0), clipped.update)
    numbers = (is_there, is_there & ~clipped.is_finite, counts & clipped.is_shorter)
    targets = jnp.where(counts, jnp.count_nonzero(batches.targets), 0)
    numbers = (each.astype(jnp.int32) for each in numbers)
    return sent, RoundFacts(*numbers, targets=targets, loss=jnp.where(counts, loss, 0))


def change(
    state: TrainState,
    summed: Any,
    key: jax.Array,
    config: FederatedConfig,
    noise_multiplier: float,
) -> TrainState:
    """Do what the server does with the sum of what came in.

    Args:
        summed: of the shape of what is shared.
        key: of the round, for the noise.
    """
    shared, kept = part(state.params, config.share)
    noised = add_noise(summed, key, noise_multiplier * config.clip_norm)
    # By the expected number: the actual one would tell who takes part.
    against = jax.tree.map(lambda leaf: -leaf / config.clients, noised)
    # optax raises floats to integer powers, which the strict promotion of our tests refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = server_optimizer(config).update(against, state.optimizer, shared)
    params = join(optax.apply_updates(shared, updates), kept)
    return TrainState(params, optimizer_state, state.step + 1)


def add_noise(summed: Any, key: jax.Array, deviation: float) -> Any:
    """Add one draw of a Gaussian to every number."""
    if deviation == 0:
        return summed
    leaves, structure = jax.tree.flatten(summed)
    keys = jax.random.split(key, len(leaves))
    noised = [
        leaf + deviation * jax.random.normal(each, leaf.shape, leaf.dtype)
        for leaf, each in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noised)
