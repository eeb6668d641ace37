"""Scores of every item after some histories, and ranks of targets among them.

Scores are an array, or factors whose product is computed in blocks of items. Either way, a rank is
the number of scores that are not lower than that of the target, including its own: ranks begin at
1. NaN is the highest score if it is that of another item, and the lowest if it is the target's.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxrec.schema import PAD

# Items in a block of scores. With 64 rows, the scores of a block stay in a cache.
BLOCK = 8192

# Replaces a score of minus infinity: below every score, but above those of excluded items.
_LOWEST = float(np.finfo(np.float32).min)

Ranked = tuple[Int[jax.Array, " B"], Int[jax.Array, "B top"]]
"""The rank of each target, and the top ids of each row, padded with PAD."""


class Factors(NamedTuple):
    """Factors of scores, and sparse additions to their product, so that no score is stored.

    Attributes:
        added: rows, ids and values of additions, each [m]; ids beyond the table are ignored.
    """

    query_BD: Float[jax.Array | np.ndarray, "B D"]
    table_RD: Float[jax.Array | np.ndarray, "R D"]
    bias_R: Float[jax.Array | np.ndarray, " R"]
    added: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


Scores = jax.Array | np.ndarray | Factors
"""The score of every item after each of B histories, [B, R], or its factors."""


def materialize_scores(scores: Scores) -> jax.Array:
    """Return all scores as one array, [B, R]."""
    return _product_of(scores) if isinstance(scores, Factors) else jnp.asarray(scores)


@jax.jit
def _product_of(factors: Factors) -> Float[jax.Array, "B R"]:
    scores_BR = jnp.asarray(factors.query_BD) @ factors.table_RD.T + factors.bias_R
    if factors.added is not None:
        rows, ids, values = factors.added
        scores_BR = scores_BR.at[rows, ids].add(values, mode="drop")
    return scores_BR


@partial(jax.jit, static_argnames="top")
def rank_whole(
    scores_BR: Float[jax.Array, "B R"],
    targets_B: Int[jax.Array, " B"],
    excluded: Int[jax.Array, "2 m"],
    *,
    top: int,
) -> Ranked:
    """Rank targets among all items.

    Args:
        excluded: row and id of each excluded item. PAD is always excluded; a target must not be.
        top: number of top ids to return, K.
    """
    target_scores_B1 = _clamp_target(jnp.take_along_axis(scores_BR, targets_B[:, None], axis=1))
    scores_BR = _clamp_candidates(scores_BR)
    scores_BR = scores_BR.at[:, PAD].set(-jnp.inf).at[excluded[0], excluded[1]].set(-jnp.inf)
    ranks_B = jnp.sum(scores_BR >= target_scores_B1, axis=1)
    best_scores_BK, best_BK = jax.lax.top_k(scores_BR, top)
    return ranks_B, jnp.where(best_scores_BK > -jnp.inf, best_BK, PAD)


@partial(jax.jit, static_argnames=("top", "block"))
def rank_in_blocks(
    factors: Factors,
    targets_B: Int[jax.Array, " B"],
    excluded: Int[jax.Array, "2 m"],
    *,
    top: int,
    block: int = BLOCK,
) -> Ranked:
    """Rank targets as `rank_whole`, but store the scores of one block of items at a time.

    There must be at least `block` items. Blocks with targets are scored twice, first for the scores
    of the targets: only the same product gives the same bits, and so an exact comparison.
    """
    size, batch = factors.bias_R.shape[0], len(targets_B)

    def first_id(number: jax.Array) -> jax.Array:
        # The last block overlaps with the one before it, so that all have the same size.
        return jnp.minimum(number * block, size - block)

    def scores_of(number: jax.Array) -> jax.Array:
        first = first_id(number)
        table_SD = jax.lax.dynamic_slice_in_dim(jnp.asarray(factors.table_RD), first, block)
        bias_S = jax.lax.dynamic_slice_in_dim(jnp.asarray(factors.bias_R), first, block)
        scores_BS = jnp.asarray(factors.query_BD) @ table_SD.T + bias_S
        if factors.added is not None:
            rows, ids, values = factors.added
            scores_BS = scores_BS.at[rows, _block_ids(ids, first, block)].add(values, mode="drop")
        return scores_BS

    def gather_targets(number: jax.Array, gathered_B1: jax.Array) -> jax.Array:
        is_in_block_B = targets_B // block == number

        def gather() -> jax.Array:
            indices_B1 = jnp.clip(targets_B - first_id(number), 0, block - 1)[:, None]
            scores_B1 = jnp.take_along_axis(scores_of(number), indices_B1, axis=1)
            return jnp.where(is_in_block_B[:, None], scores_B1, gathered_B1)

        return jax.lax.cond(jnp.any(is_in_block_B), gather, lambda: gathered_B1)

    def update_ranks(number: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        ranks_B, best_scores_BK, best_BK = state
        ids_S = first_id(number) + jnp.arange(block)
        is_candidate_S = (ids_S >= number * block) & (ids_S != PAD)
        scores_BS = jnp.where(is_candidate_S, _clamp_candidates(scores_of(number)), -jnp.inf)
        rows, ids = excluded
        scores_BS = scores_BS.at[rows, _block_ids(ids, ids_S[0], block)].set(-jnp.inf, mode="drop")
        ranks_B += jnp.sum(scores_BS >= target_scores_B1, axis=1)
        values_BK, indices_BK = jax.lax.top_k(scores_BS, top)
        values, ids_BK = (
            jnp.concatenate(parts, axis=1)
            for parts in ((best_scores_BK, values_BK), (best_BK, ids_S[indices_BK]))
        )
        best_scores_BK, chosen_BK = jax.lax.top_k(values, top)
        return ranks_B, best_scores_BK, jnp.take_along_axis(ids_BK, chosen_BK, axis=1)

    blocks, zeros_B1 = -(-size // block), jnp.zeros((batch, 1))
    target_scores_B1 = _clamp_target(jax.lax.fori_loop(0, blocks, gather_targets, zeros_B1))
    empty = jnp.full((batch, top), -jnp.inf), jnp.full((batch, top), PAD)
    start = (jnp.zeros(batch, jnp.int32), *empty)
    ranks_B, best_scores_BK, best_BK = jax.lax.fori_loop(0, blocks, update_ranks, start)
    return ranks_B, jnp.where(best_scores_BK > -jnp.inf, best_BK, PAD)


def _block_ids(ids: jax.Array | np.ndarray, first: jax.Array, block: int) -> jax.Array:
    """Return the indices of ids in a block; `block`, which is out of range, for other ids."""
    indices = jnp.asarray(ids) - first
    return jnp.where((indices >= 0) & (indices < block), indices, block)


def _clamp_candidates(scores: jax.Array) -> jax.Array:
    return jnp.where(jnp.isnan(scores), jnp.inf, jnp.maximum(scores, _LOWEST))


def _clamp_target(scores: jax.Array) -> jax.Array:
    return jnp.where(scores > _LOWEST, scores, _LOWEST)
