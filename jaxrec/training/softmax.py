"""Softmax loss of the next item, over the whole catalogue or sampled negatives.

`reference_softmax_loss` is the formula. Training calls `softmax_loss`: the same function, computed
in tiles and with a custom gradient. A property test holds the two equal.
"""

import operator
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

# Rows of logits in a tile. With 3,416 candidates and d = 64 (two cores of a Xeon with AVX-512),
# 1,280 rows take 19.5 ms in tiles of 64, 13.0 in tiles of 128, 12.9 of 256 and 12.6 of 1,280.
TILE_ROWS = 256


class LogitFactors(NamedTuple):
    """The factors of logits, which are `query @ embedding + bias`.

    Attributes:
        query_WBD: queries of B histories at each of W positions, in the order of time.
        target_WBD: embedding of the item that follows each query.
        target_bias_WB: bias of the item that follows each query.
        candidates_SD: embeddings of the items that compete with every target.
        candidate_bias_S: their biases, minus the log of the expected number of copies of each
            (`transforms.Candidates`). That of PAD is lower than any logit.
    """

    query_WBD: Float[jax.Array, "W B D"]
    target_WBD: Float[jax.Array, "W B D"]
    target_bias_WB: Float[jax.Array, "W B"]
    candidates_SD: Float[jax.Array, "S D"]
    candidate_bias_S: Float[jax.Array, " S"]


class SoftmaxLabels(NamedTuple):
    """The targets, and the candidates that compete with them.

    Attributes:
        targets_WB: the item that follows each query.
        weights_WB: target weights in the mean; zero where there is no target.
        candidates_S: the items that compete with every target.
        excluded_BS: candidates that are excluded in a row, because they are in the user's past; a
            target then is excluded from its position on. None: a target is excluded at its own
            position alone, where it has a logit already.
        teacher_weight: of a teacher's softmax in each target distribution; the rest is the target.
    """

    targets_WB: Int[jax.Array, "W B"]
    weights_WB: Float[jax.Array, "W B"]
    candidates_S: Int[jax.Array, " S"]
    excluded_BS: Bool[jax.Array, "B S"] | None = None
    teacher_weight: float | Float[jax.Array, ""] = 0.5


def reference_softmax_loss(
    factors: LogitFactors, labels: SoftmaxLabels, teacher: LogitFactors | None = None
) -> Float[jax.Array, ""]:
    """Return the weighted mean of -log softmax of each target's logit among the candidates'.

    With sampled candidates the sum over all items is estimated without bias, by importance sampling
    (Bengio and Senécal, 2003).

    Args:
        factors: of the model that is trained.
        labels: targets and candidates.
        teacher: factors of a model whose softmax is a part of the targets (Hinton et al., 2015).
    """
    excluded_WBS = labels.targets_WB[..., None] == labels.candidates_S
    if labels.excluded_BS is not None:
        excluded_WBS = (jnp.cumsum(excluded_WBS, axis=0) > 0) | labels.excluded_BS

    def log_softmax(of: LogitFactors) -> jax.Array:  # column 0 is the target
        target_WB = jnp.sum(of.query_WBD * of.target_WBD, axis=-1) + of.target_bias_WB
        candidates_WBS = of.query_WBD @ of.candidates_SD.T + of.candidate_bias_S
        candidates_WBS = jnp.where(excluded_WBS, -jnp.inf, candidates_WBS)
        return jax.nn.log_softmax(jnp.concatenate([target_WB[..., None], candidates_WBS], axis=-1))

    wanted = jax.nn.one_hot(0, 1 + len(labels.candidates_S))
    if teacher is not None:
        wanted += labels.teacher_weight * (jnp.exp(log_softmax(teacher)) - wanted)
    losses_WB = -jnp.sum(wanted * log_softmax(factors), axis=-1, where=wanted > 0)
    return jnp.sum(_normalized(labels.weights_WB) * losses_WB)


@jax.custom_vjp
def softmax_loss(
    factors: LogitFactors, labels: SoftmaxLabels, teacher: LogitFactors | None = None
) -> Float[jax.Array, ""]:
    """Compute `reference_softmax_loss` of the same arguments, in tiles."""
    return _forward(factors, labels, teacher)[0]


def _normalized(weights_WB: Float[jax.Array, "W B"]) -> Float[jax.Array, "W B"]:
    total = jnp.sum(weights_WB)
    return weights_WB / jnp.where(total > 0, total, 1)  # padding alone: a loss of 0, not NaN


def _forward(
    factors: LogitFactors, labels: SoftmaxLabels, teacher: LogitFactors | None
) -> tuple[Float[jax.Array, ""], LogitFactors]:
    """Compute the loss, and its gradients with respect to the factors.

    Both are computed for a few positions at a time, so that the logits of this tile stay in a
    cache: logits kept for the backward pass would be the largest array of a step.
    """
    (by_target, shared), weights_WB = _split(factors), _normalized(labels.weights_WB)
    teacher_by_target, teacher_shared = (None, None) if teacher is None else _split(teacher)
    width, batch = weights_WB.shape
    count = min(width, -(-TILE_ROWS // batch))
    padding = -width % count  # positions of weight zero

    def tiled(values: jax.Array) -> jax.Array:
        padded = jnp.pad(values, ((0, padding), *[(0, 0)] * (values.ndim - 1)))
        return padded.reshape(-1, count, *values.shape[1:])

    def step(carry: Any, tile: Any) -> Any:
        excluded_BS, sums = carry
        by_target, weights_PB, targets_PB, teacher_by_target = tile
        excluded_PBS = labels.candidates_S == targets_PB[..., None]
        if excluded_BS is not None:
            so_far = accumulate(excluded_PBS, operator.or_, initial=excluded_BS)  # targets so far
            excluded_PBS = jnp.stack(list(so_far)[1:])
            excluded_BS = excluded_PBS[-1]
        by_target, weights_n, excluded_nS, teacher_by_target = jax.tree.map(
            lambda values: values.reshape(count * batch, *values.shape[2:]),
            (by_target, weights_PB, excluded_PBS, teacher_by_target),
        )
        wanted_nS = None
        if teacher_shared is not None:
            taught = _softmax(teacher_by_target, teacher_shared, excluded_nS)
            wanted_nS = (labels.teacher_weight / taught.sum_n)[:, None] * taught.exp_nS
        loss, d_by_target, d_shared = _tile(by_target, shared, weights_n, excluded_nS, wanted_nS)
        return (excluded_BS, jax.tree.map(jnp.add, sums, (loss, d_shared))), d_by_target

    start = labels.excluded_BS, jax.tree.map(jnp.zeros_like, (weights_WB[0, 0], shared))
    tiles = jax.tree.map(tiled, (by_target, weights_WB, labels.targets_WB, teacher_by_target))
    (_, (loss, (d_columns_DS, d_bias_S))), d_by_target = jax.lax.scan(step, start, tiles)
    d_by_target = jax.tree.map(
        lambda d, of: d.reshape(width + padding, *of.shape[1:])[:width], d_by_target, by_target
    )
    return loss, LogitFactors._make((*d_by_target, d_columns_DS.T, d_bias_S))


def _backward(gradients: LogitFactors, scale: jax.Array) -> tuple[LogitFactors, None, None]:
    return jax.tree.map(lambda gradient: scale * gradient, gradients), None, None  # chain rule


softmax_loss.defvjp(_forward, _backward)


def _split(factors: LogitFactors) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Split factors into those of each target, and columns and biases that all targets share.

    Candidates are columns, because the gradient of rows would be a matrix product of a shape that
    is several times slower on a CPU.
    """
    *by_target, candidates_SD, candidate_bias_S = factors
    return tuple(by_target), (candidates_SD.T, candidate_bias_S)


class _Softmax(NamedTuple):
    """Softmax of n targets and their S candidates, before the division by its sum."""

    target_logit_n: jax.Array
    logits_nS: jax.Array
    max_n: jax.Array
    exp_nS: jax.Array
    sum_n: jax.Array


def _softmax(
    by_target: tuple[jax.Array, ...], shared: tuple[jax.Array, ...], excluded_nS: jax.Array
) -> _Softmax:
    (query_nD, target_nD, target_bias_n), (columns_DS, bias_S) = by_target, shared
    target_logit_n = jnp.sum(query_nD * target_nD, axis=-1) + target_bias_n
    logits_nS = jnp.where(excluded_nS, -jnp.inf, query_nD @ columns_DS + bias_S)
    max_n = jnp.maximum(jnp.max(logits_nS, axis=1), target_logit_n)  # no exponential overflows
    exp_nS = jnp.exp(logits_nS - max_n[:, None])
    sum_n = jnp.sum(exp_nS, axis=1) + jnp.exp(target_logit_n - max_n)
    return _Softmax(target_logit_n, logits_nS, max_n, exp_nS, sum_n)


def _tile(
    by_target: tuple[jax.Array, ...],
    shared: tuple[jax.Array, ...],
    weights_n: Float[jax.Array, " n"],
    excluded_nS: Bool[jax.Array, "n S"],
    wanted_nS: Float[jax.Array, "n S"] | None,
) -> tuple[Float[jax.Array, ""], tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Compute the weighted sum of the losses of n targets, and its gradients.

    The gradient with respect to a logit is `weight * (exp / sum - wanted)`. To pass over arrays of
    the size of the logits as rarely as possible, the division by the sum is applied to the smaller
    arrays that they are multiplied with.
    """
    (query_nD, target_nD, _), (columns_DS, _) = by_target, shared
    student = _softmax(by_target, shared, excluded_nS)
    losses_n = student.max_n + jnp.log(student.sum_n) - student.target_logit_n
    excess_nS = student.exp_nS
    if wanted_nS is not None:
        # Excluded logits are -inf, and their weight of 0 times that is NaN.
        margins_nS = jnp.where(excluded_nS, 0, student.target_logit_n[:, None] - student.logits_nS)
        losses_n += jnp.sum(wanted_nS * margins_nS, axis=1)
        excess_nS -= student.sum_n[:, None] * wanted_nS
    scale_n1 = (weights_n / student.sum_n)[:, None]
    # The gradients of all logits of a row add up to zero.
    d_target_n1 = -jnp.sum(excess_nS, axis=1, keepdims=True) * scale_n1
    d_query_nD = scale_n1 * (excess_nS @ columns_DS.T) + d_target_n1 * target_nD
    d_by_target = d_query_nD, d_target_n1 * query_nD, d_target_n1[:, 0]
    # One product yields the gradients of both columns and biases.
    d_shared_FS = jnp.concatenate([scale_n1 * query_nD, scale_n1], axis=1).T @ excess_nS
    return jnp.sum(weights_n * losses_n), d_by_target, (d_shared_FS[:-1], d_shared_FS[-1])
