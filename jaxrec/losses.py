"""Losses: how surprised a model is by each target. Plain functions, natural logarithms."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int


def full_softmax(
    context_TD: Float[jax.Array, "T D"],
    targets_T: Int[jax.Array, " T"],
    item_table_RD: Float[jax.Array, "R D"],
    item_bias_R: Float[jax.Array, " R"],
) -> Float[jax.Array, " T"]:
    """Give -log softmax of each target's score among all items."""
    logits_TR = context_TD @ item_table_RD.T + item_bias_R
    target_logits_T = jnp.take_along_axis(logits_TR, targets_T[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(logits_TR, axis=1) - target_logits_T


def sampled_softmax(
    context_TD: Float[jax.Array, "T D"],
    targets_T: Int[jax.Array, " T"],
    item_table_RD: Float[jax.Array, "R D"],
    item_bias_R: Float[jax.Array, " R"],
    negatives_S: Int[jax.Array, " S"],
    log_expected_S: Float[jax.Array, " S"],
) -> Float[jax.Array, " T"]:
    """Estimate `full_softmax` from negatives that all targets share.

    The sum over all other items is estimated without bias by importance sampling (Bengio and
    Senécal, 2003): a negative weighs one over its expected number of copies, and one that is the
    target itself weighs nothing. With every other item drawn once it is the full softmax.

    Args:
        negatives_S: drawn ids, repeats allowed.
        log_expected_S: log of the expected number of copies of each.
    """
    target_logits_T = (
        jnp.sum(context_TD * item_table_RD[targets_T], axis=1) + item_bias_R[targets_T]
    )
    logits_TS = context_TD @ item_table_RD[negatives_S].T
    logits_TS += item_bias_R[negatives_S] - log_expected_S
    logits_TS = jnp.where(negatives_S == targets_T[:, None], -jnp.inf, logits_TS)
    # A copy with the target in it would be one more pass over [T, S + 1]; a sum of two logs is not.
    log_others_T = jax.nn.logsumexp(logits_TS, axis=1)
    return jnp.logaddexp(target_logits_T, log_others_T) - target_logits_T
