"""Local training of one client, a pure function of the model and the client's windows."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxrec.data.batching import Batch
from jaxrec.federated.sharing import merge_params
from jaxrec.training.objective import Objective
from jaxrec.training.sparse_rows import Tables


def train_locally(
    objective: Objective,
    shared: Any,
    kept: Tables,
    batches: Batch,
    key: jax.Array,
    rate: float,
) -> tuple[Any, Float[jax.Array, ""]]:
    """Run steps of SGD on windows of one client's timeline.

    Args:
        shared: the parameters that the client trains.
        kept: the parameters that the client reads but does not change.
        batches: one batch per step, with steps as the leading axis.
        key: PRNG key for dropout and negatives.
        rate: learning rate.

    Returns:
        The change of the shared parameters, and the mean loss of the steps.
    """

    def step(params: Any, inputs: tuple[Batch, jax.Array]) -> tuple[Any, Float[jax.Array, ""]]:
        batch, step_key = inputs
        value, gradients = jax.value_and_grad(
            lambda each: objective(merge_params(each, kept), batch, step_key)
        )(params)
        return jax.tree.map(lambda leaf, grad: leaf - rate * grad, params, gradients), value

    keys = jax.random.split(key, len(batches.targets))
    after, losses = jax.lax.scan(step, shared, (batches, keys))
    return jax.tree.map(jnp.subtract, after, shared), losses.mean()
