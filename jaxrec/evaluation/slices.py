"""Slices: figures beside the plain ones, in which some targets count more than others."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int

from jaxrec.data.dataset import Dataset

GRADED = "graded"
"""Each target counts by its gain, 2^g - 1 of its grade g (Burges et al., 2005, Learning to Rank
using Gradient Descent): from 0 for the lowest rating to 15 for the highest. NDCG@10 is then the sum
of the discounted gains of all targets over that of the best of rankings (Järvelin and Kekäläinen,
2002, Cumulated Gain-Based Evaluation of IR Techniques)."""

LATER = "a minute later"
"""Targets alone that came a minute or more after the activity before them: many others share its
second, and who is told the time is told that."""

LATER_SECONDS = 60

Slices = Mapping[str, Float64[np.ndarray, " n"]]
"""What each target counts, zero or more and not zero for all, by the name of the slice."""


def slices(dataset: Dataset, positions: Int[np.ndarray, " n"]) -> Slices:
    """Give the slices that the ratings and the times of a log allow."""
    found = {}
    ratings, scale = dataset.ratings, dataset.rating_scale
    if ratings is not None and scale is not None:
        of_targets = ratings[positions]
        found[GRADED] = np.nan_to_num(2 ** scale.grades(of_targets).astype(np.float64) - 1)
        found[f"rated >= {scale.high:g}"] = of_targets >= np.float32(scale.high)
    if dataset.timelines.ticks_per_second is not None:
        found[LATER] = dataset.timelines.ages(positions, 1)[:, 0] >= LATER_SECONDS
    return {name: each.astype(np.float64) for name, each in found.items() if each.any()}


def metrics_in(name: str) -> tuple[str, ...]:
    """Name the metrics that are given of a slice."""
    return ("ndcg@10",) if name == GRADED else ("recall@10", "ndcg@10")


def label(metric: str, name: str) -> str:
    """Name a metric of a slice."""
    return f"{metric} ({name})"
