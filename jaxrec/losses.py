"""Losses: how surprised a model is by each target. Plain functions, natural logarithms."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int


def full_softmax(
    context_LBD: Float[jax.Array, "L B D"],
    targets_LB: Int[jax.Array, "L B"],
    item_table_RD: Float[jax.Array, "R D"],
    item_bias_R: Float[jax.Array, " R"],
) -> Float[jax.Array, "L B"]:
    """Give -log softmax of each target's score among all items.

    Row PAD of the table needs a bias that no score outweighs (recommender.PAD_BIAS).
    """
    everything_R = jnp.arange(item_table_RD.shape[0])
    once_R = jnp.zeros_like(item_bias_R)
    return sampled_softmax(
        context_LBD, targets_LB, item_table_RD, item_bias_R, everything_R, once_R
    )


def sampled_softmax(
    context_LBD: Float[jax.Array, "L B D"],
    targets_LB: Int[jax.Array, "L B"],
    item_table_RD: Float[jax.Array, "R D"],
    item_bias_R: Float[jax.Array, " R"],
    negatives_S: Int[jax.Array, " S"],
    log_expected_S: Float[jax.Array, " S"],
) -> Float[jax.Array, "L B"]:
    """Estimate `full_softmax` from negatives that all targets share.

    The sum over all other items is estimated without bias by importance sampling (Bengio and
    Senécal, 2003): a negative weighs one over its expected number of copies, and one that is the
    target itself weighs nothing. With every other item drawn once it is the full softmax.

    Args:
        context_LBD: B contexts at each of L positions; the leading axis is worked off in a loop.
        negatives_S: drawn ids, repeats allowed.
        log_expected_S: log of the expected number of copies of each.
    """
    target_logits_LB = item_bias_R[targets_LB] + jnp.sum(
        context_LBD * item_table_RD[targets_LB], axis=-1
    )
    offsets_S = item_bias_R[negatives_S] - log_expected_S
    # One position at a time, so that the logits fit a cache; and the negatives as columns, because
    # the gradient of rows would be a product of a shape that is several times slower on a CPU.
    columns_DS = item_table_RD[negatives_S].T

    def log_sum_over_others(
        position: tuple[Float[jax.Array, "B D"], Int[jax.Array, " B"]],
    ) -> Float[jax.Array, " B"]:
        context_BD, targets_B = position
        logits_BS = context_BD @ columns_DS + offsets_S
        logits_BS = jnp.where(negatives_S == targets_B[:, None], -jnp.inf, logits_BS)
        return jax.nn.logsumexp(logits_BS, axis=1)

    log_others_LB = jax.lax.map(log_sum_over_others, (context_LBD, targets_LB))
    return jnp.logaddexp(target_logits_LB, log_others_LB) - target_logits_LB
