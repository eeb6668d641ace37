"""Evaluation: the rank of every target among the whole catalogue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int, Int32

from jaxrec.data.sequences import Timelines
from jaxrec.features import PAD
from jaxrec.metrics import bootstrap_intervals, means, missed_rank, target_values
from jaxrec.models.recommender import Recommender

COVERAGE_AT = 10

Scorer = Callable[[Mapping[str, Int32[np.ndarray, "B N"]]], "jax.Array | np.ndarray"]
"""From histories, {name: [B, N]}, to the score of every item, [B, V + 1]; PAD's is not read."""

# Scores in memory at a time: 4 bytes each, and as many in the mask of what was seen.
_SCORES_AT_A_TIME = 4_000_000


@dataclass(frozen=True)
class Ranking:
    """Where the targets ended.

    Attributes:
        users: the user of each target, [n].
        ranks: 1 is the best, the number of candidates the worst; a target that is left out has
            `metrics.missed_rank`, [n].
        covered: items that stand in the top 10 of at least one history.
        seen_targets: targets that the user had met before; left out, they count as missed.
    """

    users: Int[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]
    covered: int
    seen_targets: int


def model_scorer(graphdef: nnx.GraphDef[Recommender], params: nnx.State) -> Scorer:
    """Score by a model, given as what nnx.split makes of it."""
    return partial(_model_scores, graphdef, params)


@partial(jax.jit, static_argnums=0)
def _model_scores(
    graphdef: nnx.GraphDef[Recommender],
    params: nnx.State,
    history: Mapping[str, Int[jax.Array, "B N"]],
) -> Float[jax.Array, "B R"]:
    model = nnx.merge(graphdef, params)
    return model.scores(model.context(history))


def rank_targets(
    scorer: Scorer,
    timelines: Timelines,
    positions: Int[np.ndarray, " n"],
    *,
    catalogue_size: int,
    history_length: int,
    keep_seen: bool,
) -> Ranking:
    """Rank the item at each position among all items, by the history before it.

    Ties count against the target, as does a score that is not a number. Unless `keep_seen`, every
    item that the user met before the target (however long ago) is left out of the ranking.
    """
    batch_size = max(1, min(len(positions), _SCORES_AT_A_TIME // (catalogue_size + 1)))
    ranks = np.empty(len(positions), np.int32)
    recommended = np.zeros(catalogue_size + 1, bool)
    seen_targets = 0
    for start in range(0, len(positions), batch_size):
        part = positions[start : start + batch_size]
        # The last batch is filled up with its first row, so that all have one shape.
        filled = np.concatenate([part, np.repeat(part[:1], batch_size - len(part))])
        targets = timelines.items[filled]
        left_out = np.zeros((batch_size, catalogue_size + 1), bool)
        rows, seen_items = timelines.seen_before(filled)
        left_out[rows, seen_items] = True
        seen_targets += int(left_out[np.arange(len(part)), targets[: len(part)]].sum())
        if keep_seen:
            left_out[:] = False
        left_out[:, PAD] = True
        scores = scorer(timelines.histories(filled, history_length))
        rank_B, top_BK = _rank(scores, targets, left_out, top=min(COVERAGE_AT, catalogue_size))
        ranks[start : start + len(part)] = np.asarray(rank_B)[: len(part)]
        recommended[np.asarray(top_BK)] = True
    users = timelines.users_of(positions)
    return Ranking(users, ranks, int(recommended[1:].sum()), seen_targets)


@partial(jax.jit, static_argnames="top")
def _rank(
    scores_BR: Float[jax.Array, "B R"],
    targets_B: Int[jax.Array, " B"],
    left_out_BR: Bool[jax.Array, "B R"],
    *,
    top: int,
) -> tuple[Int[jax.Array, " B"], Int[jax.Array, "B top"]]:
    """Give the rank of each target and the best ids of each row (PAD where too few are left)."""
    scores_BR = jnp.where(left_out_BR, -jnp.inf, scores_BR)
    target_scores_B1 = jnp.take_along_axis(scores_BR, targets_B[:, None], axis=1)
    # "Not lower" instead of "higher or equal": a comparison with NaN is false. The count holds the
    # target itself, which makes ranks begin at 1.
    not_lower_BR = ~(scores_BR < target_scores_B1) & ~left_out_BR
    is_left_out_B = jnp.take_along_axis(left_out_BR, targets_B[:, None], axis=1)[:, 0]
    missed = missed_rank(scores_BR.shape[1] - 1)
    ranks_B = jnp.where(is_left_out_B, missed, jnp.sum(not_lower_BR, axis=1))
    best_scores_BK, best_BK = jax.lax.top_k(scores_BR, top)
    return ranks_B, jnp.where(best_scores_BK > -jnp.inf, best_BK, PAD)


def summarize(ranking: Ranking, catalogue_size: int) -> dict[str, float | list[float]]:
    """Give every metric, its 95% interval as "<name>_interval", and the coverage of the top 10."""
    values = target_values(ranking.ranks)
    intervals = bootstrap_intervals(values, ranking.users)
    summary: dict[str, float | list[float]] = dict(means(values))
    summary |= {f"{name}_interval": list(interval) for name, interval in intervals.items()}
    summary[f"coverage@{COVERAGE_AT}"] = ranking.covered / catalogue_size
    return summary
