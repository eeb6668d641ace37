"""Metrics: recall@k, NDCG@k and MRR from the rank of each target, with intervals; NumPy alone.

With one relevant item per target, recall@k is the share of ranks up to k, NDCG@k the mean of
1 / log2(1 + rank) where the rank is up to k (else 0), and MRR the mean of 1 / rank. If targets have
weights (`evaluation.slices`), means are weighted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

RECALL_AT = (1, 5, 10, 50)
NDCG_AT = 10


@dataclass(frozen=True)
class PredictionFigures:
    """Metrics of the predictions of a head.

    Attributes:
        means: `mae`, `rmse`, and `concordance` if there is a pair.
        intervals: their 95% intervals, lower end first.
        targets: number of targets with a label.
        pairs: number of compared pairs.
    """

    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    targets: int
    pairs: int


def target_values(ranks: Int[np.ndarray, " n"]) -> dict[str, Float[np.ndarray, " n"]]:
    """Return the value of each target for each metric; a metric is the mean of its values.

    Args:
        ranks: 1 for the best of all candidates.
    """
    if len(ranks) and ranks.min() < 1:
        raise ValueError(f"rank {ranks.min()} is below 1")
    gains = np.where(ranks <= NDCG_AT, 1 / np.log2(1.0 + ranks), 0.0)
    return {
        **{f"recall@{k}": (ranks <= k).astype(np.float64) for k in RECALL_AT},
        f"ndcg@{NDCG_AT}": gains,
        "mrr": 1.0 / ranks,
        "mean_rank": ranks.astype(np.float64),
    }


def missed_rank(catalogue_size: int) -> int:
    """Return the rank of a target that is no candidate: worse than any other, beyond every k."""
    return max(catalogue_size, *RECALL_AT, NDCG_AT) + 1


def means(
    values: Mapping[str, Float[np.ndarray, " n"]], weights: Float[np.ndarray, " n"] | None = None
) -> dict[str, float]:
    """Return the mean of each metric over the targets, weighted if there are weights."""
    return {name: float(np.average(value, weights=weights)) for name, value in values.items()}


def bootstrap_intervals(
    values: Mapping[str, Float[np.ndarray, " n"]],
    users: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"] | None = None,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, tuple[float, float]]:
    """Return a 95% interval of each mean: percentiles over resampled users (Efron, 1979).

    Users are resampled, not targets, because the targets of one user are not independent. Users
    whose targets all have zero weight are left out.
    """
    if weights is not None:
        is_weighted = weights > 0
        values = {name: (weights * value)[is_weighted] for name, value in values.items()}
        users, weights = users[is_weighted], weights[is_weighted]
    _, user_of_target = np.unique(users, return_inverse=True)
    weight_of_user = np.bincount(user_of_target, weights)
    # Sums over each user's targets: a resample gathers users, however many targets they have.
    sums = np.stack([np.bincount(user_of_target, value) for value in values.values()])
    rng = np.random.default_rng(seed)
    drawn_means = np.empty((resamples, len(sums)))
    for resample in range(resamples):
        sample = rng.integers(0, len(weight_of_user), len(weight_of_user))
        drawn_means[resample] = sums[:, sample].sum(axis=1) / weight_of_user[sample].sum()
    low, high = np.percentile(drawn_means, [2.5, 97.5], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(values)}
