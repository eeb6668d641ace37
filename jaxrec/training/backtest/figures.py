"""Figures of a backtest: recall, churn and training time, over one period or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from jaxrec.data.splits import Period
from jaxrec.evaluation.churn import OVERLAP, SAME_FIRST
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values

SCRATCH, WARM, NEVER = VARIANTS = ("scratch", "warm", "never")
"""Trained from random parameters at the start of each period; from the parameters of the period
before; and at the start of the first period alone."""

METRICS = ("recall@10", "ndcg@10")
CHURN = (OVERLAP, SAME_FIRST)


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95% interval, by bootstrap over users."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Judgement:
    """Ranks, churn and training times of the models of a period.

    Attributes:
        period: the period.
        users: the user of each target, [n].
        ranks: the rank of each target by variant, [n].
        is_known: whether the item of each target is known to the model, by variant, [n].
        list_users: users who have a list of each model ...
        churn: ... and how much their lists differ from those of the period before, by variant and
            name; variants without an earlier model are missing.
        seconds: of training, by variant.
    """

    period: Period
    users: Int[np.ndarray, " n"]
    ranks: Mapping[str, Int[np.ndarray, " n"]]
    is_known: Mapping[str, Bool[np.ndarray, " n"]]
    list_users: Mapping[str, Int[np.ndarray, " m"]]
    churn: Mapping[str, Mapping[str, Float64[np.ndarray, " m"]]]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class VariantFigures:
    """The figures of a variant.

    Attributes:
        metrics: `recall@10` and `NDCG@10`, by name.
        minus_scratch: their paired differences from the variant that is trained from scratch.
        churn: `overlap@10` and `same_first`, between successive models on the same histories, by
            name; empty without two models.
        unknown_targets: number of targets whose item is unknown to the model; they are missed.
        training_seconds: the seconds of all epochs, compilation included.
    """

    metrics: dict[str, Estimate]
    minus_scratch: dict[str, Estimate]
    churn: dict[str, Estimate]
    unknown_targets: int
    training_seconds: float


@dataclass(frozen=True)
class PeriodFigures:
    """The figures of one or several successive periods.

    Attributes:
        period: the whole span of time.
        targets: number of targets.
        users: number of their users.
        largest_share: share of the targets of the user who has most of them.
        variants: the figures of each variant, by name.
    """

    period: Period
    targets: int
    users: int
    largest_share: float
    variants: dict[str, VariantFigures]


def compute_figures(judgements: Sequence[Judgement]) -> PeriodFigures:
    """Compute the figures of successive periods; each target has the same weight."""
    users = np.concatenate([each.users for each in judgements])
    _, counts = np.unique(users, return_counts=True)
    return PeriodFigures(
        Period(judgements[0].period.start, judgements[-1].period.end),
        len(users),
        len(counts),
        float(counts.max() / len(users)),
        {name: _variant_figures(judgements, users, name) for name in VARIANTS},
    )


def _variant_figures(
    judgements: Sequence[Judgement], users: Int[np.ndarray, " n"], name: str
) -> VariantFigures:
    values, of_scratch = _values(judgements, name), _values(judgements, SCRATCH)
    compared = [each for each in judgements if name in each.churn]
    churn = {}
    if compared:
        list_users = np.concatenate([each.list_users[name] for each in compared])
        found = {key: np.concatenate([each.churn[name][key] for each in compared]) for key in CHURN}
        churn = estimate(found, list_users) if len(list_users) else {}
    return VariantFigures(
        estimate(values, users),
        estimate({key: values[key] - of_scratch[key] for key in METRICS}, users),
        churn,
        sum(int((~each.is_known[name]).sum()) for each in judgements),
        sum(each.seconds[name] for each in judgements),
    )


def _values(judgements: Sequence[Judgement], name: str) -> dict[str, Float64[np.ndarray, " n"]]:
    every = target_values(np.concatenate([each.ranks[name] for each in judgements]))
    return {key: every[key] for key in METRICS}


def estimate(
    values: Mapping[str, Float64[np.ndarray, " n"]], users: Int[np.ndarray, " n"]
) -> dict[str, Estimate]:
    """Estimate the mean of each value; the values of a user are resampled together."""
    intervals = bootstrap_intervals(values, users)
    return {name: Estimate(mean, *intervals[name]) for name, mean in means(values).items()}
