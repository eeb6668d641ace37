"""Clients: what one device does in a round, a pure function of the model and of its own windows."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxrec.data.batching import Batch
from jaxrec.federated.sharing import join
from jaxrec.training.objective import Objective
from jaxrec.training.sparse_rows import Tables


def learn_locally(
    objective: Objective,
    shared: Any,
    kept: Tables,
    batches: Batch,
    key: jax.Array,
    rate: float,
) -> tuple[Any, Float[jax.Array, ""]]:
    """Take some steps of SGD on windows of one client's timeline.

    Args:
        shared: the parameters that the client changes ...
        kept: ... and those that it reads alone.
        batches: one for each step, with an axis of steps before all others.
        key: for dropout and negatives.
        rate: learning rate.

    Returns:
        By how much the shared parameters changed, and the mean loss of the steps.
    """

    def step(now: Any, inputs: tuple[Batch, jax.Array]) -> tuple[Any, Float[jax.Array, ""]]:
        batch, step_key = inputs
        value, gradients = jax.value_and_grad(
            lambda each: objective(join(each, kept), batch, step_key)
        )(now)
        return jax.tree.map(lambda leaf, slope: leaf - rate * slope, now, gradients), value

    keys = jax.random.split(key, len(batches.targets))
    after, losses = jax.lax.scan(step, shared, (batches, keys))
    return jax.tree.map(jnp.subtract, after, shared), losses.mean()
