"""Losses: how surprised a model is by its targets, on average. Natural logarithms."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxrec.models.activities import Vectors
from jaxrec.training.negatives import Negatives


class Rows(NamedTuple):
    """The rows of tables that a step reads: what it can change of them.

    Attributes:
        features: vectors of each feature of the history and of the users, {name: [B, *L, D]}.
        targets_WBD: the vectors of the targets ...
        target_biases_WB: ... and their biases.
        negatives: what the targets are compared with, ...
        negatives_SD: ... their vectors ...
        negative_biases_S: ... and biases.
        rating_biases_WB: the targets' biases in the head of ratings, if there is one.
    """

    features: Vectors
    targets_WBD: Float[jax.Array, "W B D"]
    target_biases_WB: Float[jax.Array, "W B"]
    negatives: Negatives
    negatives_SD: Float[jax.Array, "S D"]
    negative_biases_S: Float[jax.Array, " S"]
    rating_biases_WB: Float[jax.Array, "W B"] | None = None


def softmax_loss(
    context_WBD: Float[jax.Array, "W B D"],
    rows: Rows,
    targets_WB: Int[jax.Array, "W B"],
    weights_WB: Float[jax.Array, "W B"],
    left_out_BS: Bool[jax.Array, "B S"] | None,
) -> Float[jax.Array, ""]:
    """Give the weighted mean of -log softmax of each target's score among all items.

    The sum over all other items is estimated without bias from negatives that all targets share, by
    importance sampling (Bengio and Senécal, 2003): a negative weighs one over its expected number
    of copies, and one that is the target itself weighs nothing. With every item as a negative
    (`negatives.everything`) it is the softmax itself.

    Args:
        context_WBD: B contexts at each of W positions, in the order of time.
        rows: of targets and negatives; PAD among these needs a bias that no score outweighs
            (model.PAD_BIAS).
        targets_WB: what follows each context.
        weights_WB: what each target counts; zero where there is none.
        left_out_BS: negatives that do not compete with the targets of a row. A target is itself
            left out at the positions after it. None leaves out nothing.
    """
    own = (context_WBD, rows.targets_WBD, rows.target_biases_WB)
    # As columns, because the gradient of rows would be a product of a shape that is several times
    # slower on a CPU.
    shared = (rows.negatives_SD.T, rows.negative_biases_S - rows.negatives.log_expected_S)
    shares_WB = weights_WB / jnp.maximum(jnp.sum(weights_WB), 1)
    return _mean_loss(own, shared, shares_WB, targets_WB, rows.negatives.ids_S, left_out_BS)


@jax.custom_vjp
def _mean_loss(*problem: Any) -> Float[jax.Array, ""]:
    """Give the loss. Its gradient is a by-product of `_mean_loss_and_gradients`."""
    return _mean_loss_and_gradients(*problem)[0]


def _mean_loss_and_gradients(
    own: tuple[jax.Array, ...],
    shared: tuple[jax.Array, ...],
    weights_WB: Float[jax.Array, "W B"],
    targets_WB: Int[jax.Array, "W B"],
    negatives_S: Int[jax.Array, " S"],
    left_out_BS: Bool[jax.Array, "B S"] | None,
) -> tuple[Float[jax.Array, ""], tuple[Any, Any]]:
    """Give the loss, and its gradients by `own` and `shared`.

    One position at a time, there and back, so that the logits fit a cache: held for all positions
    until the way back, they would be the largest array of a step, and its slowest part.

    Args:
        own: context and target row [W, B, D] and offset [W, B] of each target.
        shared: columns [D, S] and offsets [S] of the negatives.
    """
    differentiate = jax.value_and_grad(_loss_of_position, argnums=(0, 1))

    def work_off(carry: Any, position: Any) -> Any:
        left_out_BS, sums = carry
        own, weights_B, targets_B = position
        met_BS = negatives_S == targets_B[:, None]
        if left_out_BS is not None:
            met_BS = left_out_BS = left_out_BS | met_BS
        own_loss, (by_own, by_shared) = differentiate(own, shared, weights_B, met_BS)
        return (left_out_BS, jax.tree.map(jnp.add, sums, (own_loss, by_shared))), by_own

    zeros = jax.tree.map(jnp.zeros_like, (weights_WB[0, 0], shared))
    (_, (loss, by_shared)), by_own = jax.lax.scan(
        work_off, (left_out_BS, zeros), (own, weights_WB, targets_WB)
    )
    return loss, (by_own, by_shared)


def _loss_of_position(
    own: tuple[jax.Array, ...],
    shared: tuple[jax.Array, ...],
    weights_B: Float[jax.Array, " B"],
    left_out_BS: Bool[jax.Array, "B S"],
) -> Float[jax.Array, ""]:
    """Give the weighted sum of the losses of B targets."""
    context_BD, target_rows_BD, target_offsets_B = own
    columns_DS, offsets_S = shared
    target_logits_B = jnp.sum(context_BD * target_rows_BD, axis=-1) + target_offsets_B
    logits_BS = jnp.where(left_out_BS, -jnp.inf, context_BD @ columns_DS + offsets_S)
    log_others_B = jax.nn.logsumexp(logits_BS, axis=1)
    return jnp.sum(weights_B * (jnp.logaddexp(target_logits_B, log_others_B) - target_logits_B))


def _backward(gradients: tuple[Any, Any], scale: jax.Array) -> tuple[Any, ...]:
    return (*jax.tree.map(lambda gradient: scale * gradient, gradients), None, None, None, None)


_mean_loss.defvjp(_mean_loss_and_gradients, _backward)
