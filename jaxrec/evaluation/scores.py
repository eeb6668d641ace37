"""Scores: of every item after some histories, and where a target stands among them.

Scores are held whole, or in blocks of items as a product is worked out. Either way "not lower"
counts, and the target itself is among what is not lower: ranks begin at 1. A rival that is not a
number is as high as it gets, a target as low.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxrec.schema import PAD

# Items that are scored at a time, where a row of scores is not held whole: with 64 rows of them
# they stay in a cache.
BLOCK = 8192

# Below every score and above what is left out: what a score of minus infinity counts as.
_LOWEST = float(np.finfo(np.float32).min)

Ranked = tuple[Int[jax.Array, " B"], Int[jax.Array, "B top"]]
"""The rank of each target and the best ids of each row, PAD where too few are left."""


class Factors(NamedTuple):
    """What scores are the product of, and what is added here and there: none of them is held.

    Attributes:
        added: rows, ids and values, each [m], if anything is; ids beyond the table are passed over.
    """

    context_BD: Float[jax.Array | np.ndarray, "B D"]
    table_RD: Float[jax.Array | np.ndarray, "R D"]
    bias_R: Float[jax.Array | np.ndarray, " R"]
    added: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


Scores = jax.Array | np.ndarray | Factors
"""The score of every item after each of B histories, [B, R], or what gives it."""


def work_out(scores: Scores) -> jax.Array:
    """Work all scores out, [B, R]."""
    return _product_of(scores) if isinstance(scores, Factors) else jnp.asarray(scores)


@jax.jit
def _product_of(factors: Factors) -> Float[jax.Array, "B R"]:
    scores_BR = jnp.asarray(factors.context_BD) @ factors.table_RD.T + factors.bias_R
    if factors.added is not None:
        rows, ids, values = factors.added
        scores_BR = scores_BR.at[rows, ids].add(values, mode="drop")
    return scores_BR


@partial(jax.jit, static_argnames="top")
def rank_whole(
    scores_BR: Float[jax.Array, "B R"],
    targets_B: Int[jax.Array, " B"],
    left_out: Int[jax.Array, "2 m"],
    *,
    top: int,
) -> Ranked:
    """Rank targets among all items.

    Args:
        left_out: row and id of what is no candidate. PAD never is; a target must not be.
        top: how many of the best are asked for.
    """
    target_scores_B1 = _as_target(jnp.take_along_axis(scores_BR, targets_B[:, None], axis=1))
    scores_BR = _as_rivals(scores_BR)
    scores_BR = scores_BR.at[:, PAD].set(-jnp.inf).at[left_out[0], left_out[1]].set(-jnp.inf)
    ranks_B = jnp.sum(scores_BR >= target_scores_B1, axis=1)
    best_scores_BK, best_BK = jax.lax.top_k(scores_BR, top)
    return ranks_B, jnp.where(best_scores_BK > -jnp.inf, best_BK, PAD)


@partial(jax.jit, static_argnames=("top", "block"))
def rank_in_blocks(
    factors: Factors,
    targets_B: Int[jax.Array, " B"],
    left_out: Int[jax.Array, "2 m"],
    *,
    top: int,
    block: int = BLOCK,
) -> Ranked:
    """Do the same, and hold no more than the scores of a block of items; there must be as many.

    The blocks of the targets are scored first, and once more in their turn: only the same product
    gives the same bits, and a target must not lose to itself, nor win over its equal.
    """
    size, batch = factors.bias_R.shape[0], len(targets_B)

    def first_of(number: jax.Array) -> jax.Array:
        # The last block reaches back into the one before it.
        return jnp.minimum(number * block, size - block)

    def scores_of(number: jax.Array) -> jax.Array:
        first = first_of(number)
        table_SD = jax.lax.dynamic_slice_in_dim(jnp.asarray(factors.table_RD), first, block)
        bias_S = jax.lax.dynamic_slice_in_dim(jnp.asarray(factors.bias_R), first, block)
        scores_BS = jnp.asarray(factors.context_BD) @ table_SD.T + bias_S
        if factors.added is not None:
            rows, ids, values = factors.added
            scores_BS = scores_BS.at[rows, _within(ids, first, block)].add(values, mode="drop")
        return scores_BS

    def find(number: jax.Array, found_B1: jax.Array) -> jax.Array:
        is_here_B = targets_B // block == number

        def look() -> jax.Array:
            places_B1 = jnp.clip(targets_B - first_of(number), 0, block - 1)[:, None]
            scores_B1 = jnp.take_along_axis(scores_of(number), places_B1, axis=1)
            return jnp.where(is_here_B[:, None], scores_B1, found_B1)

        return jax.lax.cond(jnp.any(is_here_B), look, lambda: found_B1)

    def count(number: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        ranks_B, best_scores_BK, best_BK = state
        ids_S = first_of(number) + jnp.arange(block)
        is_open_S = (ids_S >= number * block) & (ids_S != PAD)
        scores_BS = jnp.where(is_open_S, _as_rivals(scores_of(number)), -jnp.inf)
        rows, ids = left_out
        scores_BS = scores_BS.at[rows, _within(ids, ids_S[0], block)].set(-jnp.inf, mode="drop")
        ranks_B += jnp.sum(scores_BS >= target_scores_B1, axis=1)
        values_BK, places_BK = jax.lax.top_k(scores_BS, top)
        values, places = (
            jnp.concatenate(parts, axis=1)
            for parts in ((best_scores_BK, values_BK), (best_BK, ids_S[places_BK]))
        )
        best_scores_BK, chosen_BK = jax.lax.top_k(values, top)
        return ranks_B, best_scores_BK, jnp.take_along_axis(places, chosen_BK, axis=1)

    blocks, nothing_B1 = -(-size // block), jnp.zeros((batch, 1))
    target_scores_B1 = _as_target(jax.lax.fori_loop(0, blocks, find, nothing_B1))
    nobody = jnp.full((batch, top), -jnp.inf), jnp.full((batch, top), PAD)
    start = (jnp.zeros(batch, jnp.int32), *nobody)
    ranks_B, best_scores_BK, best_BK = jax.lax.fori_loop(0, blocks, count, start)
    return ranks_B, jnp.where(best_scores_BK > -jnp.inf, best_BK, PAD)


def _within(ids: jax.Array | np.ndarray, first: jax.Array, block: int) -> jax.Array:
    """Give the places of ids in a block; what is not in it has the place behind its end."""
    places = jnp.asarray(ids) - first
    return jnp.where((places >= 0) & (places < block), places, block)


def _as_rivals(scores: jax.Array) -> jax.Array:
    return jnp.where(jnp.isnan(scores), jnp.inf, jnp.maximum(scores, _LOWEST))


def _as_target(scores: jax.Array) -> jax.Array:
    return jnp.where(scores > _LOWEST, scores, _LOWEST)
