"""Losses: how surprised a model is by its targets, on average. Natural logarithms."""

import operator
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxrec.models.activities import Vectors
from jaxrec.models.heads.head import ItemRows
from jaxrec.training.negatives import Negatives

# Of the logits, so many rows are worked off at a time. With 3,416 negatives and d = 64 (two cores
# of a Xeon with AVX-512), 1,280 rows take 19.5 ms at 64 rows at a time, 13.0 at 128, 12.9 at 256
# and 12.6 at 1,280.
ROWS_IN_A_TILE = 256

# Of each target, so much is the teacher's opinion, where there is one.
TEACHER_SHARE = 0.5


class Rows(NamedTuple):
    """The rows of tables that a step reads: what it can change of them.

    Attributes:
        features: vectors of each feature of the history and of the users, {name: [B, *L, D]}.
        targets_WBD: the vectors of the targets ...
        target_biases_WB: ... and their biases.
        negatives: what the targets are compared with, ...
        negatives_SD: ... their vectors ...
        negative_biases_S: ... and biases.
        heads: the targets' entries in the item parameters of each head.
    """

    features: Vectors
    targets_WBD: Float[jax.Array, "W B D"]
    target_biases_WB: Float[jax.Array, "W B"]
    negatives: Negatives
    negatives_SD: Float[jax.Array, "S D"]
    negative_biases_S: Float[jax.Array, " S"]
    heads: Mapping[str, ItemRows] = {}


def softmax_loss(
    context_WBD: Float[jax.Array, "W B D"],
    rows: Rows,
    targets_WB: Int[jax.Array, "W B"],
    weights_WB: Float[jax.Array, "W B"],
    left_out_BS: Bool[jax.Array, "B S"] | None,
    teacher: tuple[Float[jax.Array, "W B _"], Rows] | None = None,
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
        teacher: contexts and rows of a model whose softmax over the same items stands for a part of
            each target, TEACHER_SHARE (Hinton et al., 2015).
    """
    own, shared = _factors(context_WBD, rows)
    shares_WB = weights_WB / jnp.maximum(jnp.sum(weights_WB), 1)
    taught = None if teacher is None else _factors(*teacher)
    ids_S = rows.negatives.ids_S
    return _mean_loss(own, shared, shares_WB, targets_WB, ids_S, left_out_BS, taught)


def _factors(
    context_WBD: jax.Array, rows: Rows
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Give what the logits are made of: by target, and by negative."""
    own = (context_WBD, rows.targets_WBD, rows.target_biases_WB)
    # As columns, because the gradient of rows would be a product of a shape that is several times
    # slower on a CPU.
    offsets_S = rows.negative_biases_S
    if rows.negatives.log_expected_S is not None:
        offsets_S -= rows.negatives.log_expected_S
    return own, (rows.negatives_SD.T, offsets_S)


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
    taught: tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]] | None,
) -> tuple[Float[jax.Array, ""], tuple[Any, Any]]:
    """Give the loss, and its gradients by `own` and `shared`.

    A tile of a few positions at a time, there and back, so that the logits fit a cache: held for
    all positions until the way back, they would be the largest array of a step.

    Args:
        own: context and target row [W, B, D] and offset [W, B] of each target.
        shared: columns [D, S] and offsets [S] of the negatives.
        taught: both of the teacher.
    """
    width, batch = weights_WB.shape
    count = min(width, -(-ROWS_IN_A_TILE // batch))
    padding = -width % count

    def tiled(values: jax.Array) -> jax.Array:
        padded = jnp.pad(values, ((0, padding), *[(0, 0)] * (values.ndim - 1)))
        return padded.reshape(-1, count, *values.shape[1:])

    def work_off(carry: Any, tile: Any) -> Any:
        left_out_BS, sums = carry
        own, weights_PB, targets_PB, own_taught = tile
        left_out_PBS = negatives_S == targets_PB[..., None]
        if left_out_BS is not None:
            earlier = accumulate(left_out_PBS, operator.or_, initial=left_out_BS)
            left_out_PBS = jnp.stack(list(earlier)[1:])
            left_out_BS = left_out_PBS[-1]
        own, weights_n, left_out_nS, own_taught = jax.tree.map(
            lambda values: values.reshape(count * batch, *values.shape[2:]),
            (own, weights_PB, left_out_PBS, own_taught),
        )
        lesson = None if taught is None else _odds(own_taught, taught[1], left_out_nS)
        loss, by_own, by_shared = _tile(own, shared, weights_n, left_out_nS, lesson)
        return (left_out_BS, jax.tree.map(jnp.add, sums, (loss, by_shared))), by_own

    zeros = jax.tree.map(jnp.zeros_like, (weights_WB[0, 0], shared))
    own_taught = None if taught is None else taught[0]
    tiles = jax.tree.map(tiled, (own, weights_WB, targets_WB, own_taught))
    (_, (loss, by_shared)), by_own = jax.lax.scan(work_off, (left_out_BS, zeros), tiles)
    by_own = jax.tree.map(
        lambda by, of: by.reshape(width + padding, *of.shape[1:])[:width], by_own, own
    )
    return loss, (by_own, by_shared)


class _Odds(NamedTuple):
    """A softmax of n targets and S negatives, not divided by its sum, of which the largest is 1."""

    target_logits_n: jax.Array
    logits_nS: jax.Array
    highest_n: jax.Array
    others_nS: jax.Array
    totals_n: jax.Array


def _odds(
    own: tuple[jax.Array, ...], shared: tuple[jax.Array, ...], left_out_nS: jax.Array
) -> _Odds:
    context_nD, target_rows_nD, target_offsets_n = own
    columns_DS, offsets_S = shared
    target_logits_n = jnp.sum(context_nD * target_rows_nD, axis=-1) + target_offsets_n
    logits_nS = jnp.where(left_out_nS, -jnp.inf, context_nD @ columns_DS + offsets_S)
    highest_n = jnp.maximum(jnp.max(logits_nS, axis=1), target_logits_n)
    others_nS = jnp.exp(logits_nS - highest_n[:, None])
    totals_n = jnp.sum(others_nS, axis=1) + jnp.exp(target_logits_n - highest_n)
    return _Odds(target_logits_n, logits_nS, highest_n, others_nS, totals_n)


def _tile(
    own: tuple[jax.Array, ...],
    shared: tuple[jax.Array, ...],
    weights_n: Float[jax.Array, " n"],
    left_out_nS: Bool[jax.Array, "n S"],
    lesson: _Odds | None,
) -> tuple[Float[jax.Array, ""], tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Give the weighted sum of the losses of n targets, and its gradients by `own` and `shared`.

    By hand, because what is as large as the logits is then computed once: the softmax is never
    divided by its sum, but what it is multiplied with.
    """
    context_nD, target_rows_nD, _ = own
    columns_DS, _ = shared
    found = _odds(own, shared, left_out_nS)
    losses_n = found.highest_n + jnp.log(found.totals_n) - found.target_logits_n
    excess_nS = found.others_nS
    if lesson is not None:
        wanted_nS = (TEACHER_SHARE / lesson.totals_n)[:, None] * lesson.others_nS
        ahead_nS = jnp.where(left_out_nS, 0, found.target_logits_n[:, None] - found.logits_nS)
        losses_n += jnp.sum(wanted_nS * ahead_nS, axis=1)
        excess_nS -= found.totals_n[:, None] * wanted_nS

    shares_n1 = (weights_n / found.totals_n)[:, None]
    by_target_n1 = -jnp.sum(excess_nS, axis=1, keepdims=True) * shares_n1
    by_context_nD = shares_n1 * (excess_nS @ columns_DS.T) + by_target_n1 * target_rows_nD
    by_own = by_context_nD, by_target_n1 * context_nD, by_target_n1[:, 0]
    # One product for columns and offsets.
    by_shared_FS = jnp.concatenate([shares_n1 * context_nD, shares_n1], axis=1).T @ excess_nS
    return jnp.sum(weights_n * losses_n), by_own, (by_shared_FS[:-1], by_shared_FS[-1])


def _backward(gradients: tuple[Any, Any], scale: jax.Array) -> tuple[Any, ...]:
    by_own_and_shared = jax.tree.map(lambda gradient: scale * gradient, gradients)
    return (*by_own_and_shared, *[None] * 5)


_mean_loss.defvjp(_mean_loss_and_gradients, _backward)
