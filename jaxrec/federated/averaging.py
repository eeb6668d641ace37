"""Federated averaging: a round as a pure function of the server's state and a cohort's windows."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Int

from jaxrec.data.batching import Batch
from jaxrec.federated.clients import train_locally
from jaxrec.federated.clipping import clip
from jaxrec.federated.cohorts import CLIENTS_PER_CHUNK
from jaxrec.federated.settings import FederatedConfig
from jaxrec.federated.sharing import merge_params, split_params
from jaxrec.training.objective import Objective
from jaxrec.training.sparse_rows import Tables
from jaxrec.training.step import TrainState

# Epsilon and betas of the server's Adam, as in Adaptive Federated Optimization (Reddi et al.,
# 2021); epsilon is added to the root.
_ADAM_EPS, _ADAM_BETAS = 1e-3, (0.9, 0.99)
_RATES = {"fedavg": 1.0, "fedadam": 0.003}


class RoundFacts(NamedTuple):
    """Sums over the clients of a round, scalars of JAX or of Python.

    Attributes:
        clients: the number of clients that took part.
        excluded: the number of these whose updates were not finite, and count as zero.
        clipped: the number of these whose updates were clipped.
        targets: the number of targets that the clients not excluded trained on.
        loss: the sum of the mean losses of the clients not excluded.
    """

    clients: Any
    excluded: Any
    clipped: Any
    targets: Any
    loss: Any


Round = Callable[[TrainState, Any, Batch], tuple[TrainState, RoundFacts]]
"""Function from the server's state (donated), the client ids of a cohort (-1 for padding) and their
windows to the next state and the sums of the round."""


class RoundKeys(NamedTuple):
    """PRNG keys of a round: for its cohort, their windows, local training and the noise."""

    cohort: jax.Array
    windows: jax.Array
    learning: jax.Array
    noise: jax.Array


def round_keys(seed: int, number: int | jax.Array) -> RoundKeys:
    """Return the keys of a round; `number` counts rounds from 0."""
    return RoundKeys(*jax.random.split(jax.random.fold_in(jax.random.key(seed), number), 4))


def server_optimizer(config: FederatedConfig) -> optax.GradientTransformation:
    """Return the server's optimizer, which treats the negated mean update as a gradient."""
    configured = config.server_learning_rate
    rate = _RATES[config.server_optimizer] if configured is None else configured
    if config.server_optimizer == "fedadam":
        return optax.adam(rate, *_ADAM_BETAS, eps=_ADAM_EPS)
    # A schedule gives the optimizer a state; a checkpoint cannot hold an empty one.
    return optax.sgd(optax.constant_schedule(rate))


def init_server_state(params: Any, config: FederatedConfig) -> TrainState:
    """Initialize the server's state: all parameters, and an optimizer state for the shared ones."""
    shared, _ = split_params(params, config.shared_parameters)
    return TrainState(params, server_optimizer(config).init(shared), jnp.zeros((), jnp.int32))


def make_round(objective: Objective, config: FederatedConfig, noise_multiplier: float) -> Round:
    """Return a round as one compiled function.

    Args:
        noise_multiplier: standard deviation of the noise on the sum, as a multiple of the norm
            that updates are clipped to.
    """

    def one_round(
        state: TrainState, cohort_P: Int[jax.Array, " P"], batches: Batch
    ) -> tuple[TrainState, RoundFacts]:
        shared, kept = split_params(state.params, config.shared_parameters)
        keys = round_keys(config.seed, state.step)
        learn = partial(client_update, objective, shared, kept, keys.learning, config)

        def add_chunk(total: Any, chunk: tuple[jax.Array, Batch]) -> tuple[Any, None]:
            def train() -> Any:
                summed = jax.tree.map(lambda leaf: leaf.sum(axis=0), jax.vmap(learn)(*chunk))
                return jax.tree.map(jnp.add, total, summed)

            # A chunk of padding alone skips the training.
            return jax.lax.cond(jnp.any(chunk[0] >= 0), train, lambda: total), None

        zeros = (
            jax.tree.map(jnp.zeros_like, shared),
            RoundFacts(*[jnp.int32(0)] * 4, loss=jnp.float32(0)),
        )
        chunk_shape = (len(cohort_P) // CLIENTS_PER_CHUNK, CLIENTS_PER_CHUNK)
        chunks = jax.tree.map(
            lambda each: each.reshape(*chunk_shape, *each.shape[1:]), (cohort_P, batches)
        )
        (summed, facts), _ = jax.lax.scan(add_chunk, zeros, chunks)
        return server_update(state, summed, keys.noise, config, noise_multiplier), facts

    return jax.jit(one_round, donate_argnums=0)


def client_update(
    objective: Objective,
    shared: Any,
    kept: Tables,
    key: jax.Array,
    config: FederatedConfig,
    client: Int[jax.Array, ""],
    batches: Batch,
) -> tuple[Any, RoundFacts]:
    """Train one client in a round, and return all that may leave its device.

    Args:
        shared: the parameters that the client trains.
        kept: the parameters that the client reads but does not change.
        key: the round's key for local training.
        client: the client's id; -1 is padding, whose update is zero.
        batches: one batch per step, with steps as the leading axis.

    Returns:
        The clipped update, and the client's part of the round's sums.
    """
    client_key = jax.random.fold_in(key, client)
    update, loss = train_locally(
        objective, shared, kept, batches, client_key, config.local_learning_rate
    )
    clipped, is_client = clip(update, config.clip_norm), client >= 0
    counts = is_client & clipped.is_finite
    sent = jax.tree.map(lambda leaf: jnp.where(is_client, leaf, 0), clipped.update)
    numbers = (is_client, is_client & ~clipped.is_finite, counts & clipped.is_shorter)
    targets = jnp.where(counts, jnp.count_nonzero(batches.targets), 0)
    numbers = (each.astype(jnp.int32) for each in numbers)
    return sent, RoundFacts(*numbers, targets=targets, loss=jnp.where(counts, loss, 0))


def server_update(
    state: TrainState,
    summed: Any,
    key: jax.Array,
    config: FederatedConfig,
    noise_multiplier: float,
) -> TrainState:
    """Update the server's state by the sum of a round's updates, with noise.

    Args:
        summed: the sum of the clipped updates, with the structure of the shared parameters.
        key: the round's key for the noise.
    """
    shared, kept = split_params(state.params, config.shared_parameters)
    noised = add_noise(summed, key, noise_multiplier * config.clip_norm)
    # Divided by the expected cohort size: the actual size would reveal who takes part.
    grads = jax.tree.map(lambda leaf: -leaf / config.clients, noised)
    # optax raises floats to integer powers, which the tests' strict dtype promotion rejects.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = server_optimizer(config).update(grads, state.optimizer, shared)
    params = merge_params(optax.apply_updates(shared, updates), kept)
    return TrainState(params, optimizer_state, state.step + 1)


def add_noise(summed: Any, key: jax.Array, deviation: float) -> Any:
    """Add independent Gaussian noise to every number, with a standard deviation of `deviation`."""
    if deviation == 0:
        return summed
    leaves, structure = jax.tree.flatten(summed)
    keys = jax.random.split(key, len(leaves))
    noised = [
        leaf + deviation * jax.random.normal(each, leaf.shape, leaf.dtype)
        for leaf, each in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noised)
