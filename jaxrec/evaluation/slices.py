"""Slices: metrics over weighted targets, beside those over all targets."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int

from jaxrec.data.dataset import Dataset

GRADED = "graded"
"""Targets weighted by gain, 2^g - 1 for grade g (Burges et al., 2005, Learning to Rank using
Gradient Descent): from 0 for the lowest rating to 15 for the highest. NDCG@10 is then the sum of
the discounted gains of all targets over that of ideal rankings (Järvelin and Kekäläinen, 2002,
Cumulated Gain-Based Evaluation of IR Techniques)."""

LATER = "a minute later"
"""Only targets a minute or more after the activity before them: many others share its second,
which the time of the target reveals to a model."""

LATER_SECONDS = 60

Slices = Mapping[str, Float64[np.ndarray, " n"]]
"""The weight of each target by the name of the slice: zero or more, and not all zero."""


def slices(dataset: Dataset, positions: Int[np.ndarray, " n"]) -> Slices:
    """Return the slices that the ratings and the times of a log allow."""
    weights = {}
    ratings, scale = dataset.ratings, dataset.rating_scale
    if ratings is not None and scale is not None:
        target_ratings = ratings[positions]
        weights[GRADED] = np.nan_to_num(2 ** scale.grades(target_ratings).astype(np.float64) - 1)
        weights[f"rated >= {scale.high:g}"] = target_ratings >= np.float32(scale.high)
    if dataset.timelines.ticks_per_second is not None:
        weights[LATER] = dataset.timelines.ages(positions, 1)[:, 0] >= LATER_SECONDS
    return {name: weight.astype(np.float64) for name, weight in weights.items() if weight.any()}


def metrics_in(name: str) -> tuple[str, ...]:
    """Return the names of the metrics that are reported for a slice."""
    return ("ndcg@10",) if name == GRADED else ("recall@10", "ndcg@10")


def label(metric: str, name: str) -> str:
    """Return the label of a metric of a slice."""
    return f"{metric} ({name})"
