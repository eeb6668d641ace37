"""Judgements of periods that are written by hand."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxrec.data.splits import Period
from jaxrec.training.backtest.figures import SCRATCH, VARIANTS, Judgement

FIRST = Period(0, 10)


def judgement(
    *,
    users: Sequence[int],
    period: Period = FIRST,
    ranks: Mapping[str, Sequence[int]] | None = None,
    unknown: Mapping[str, int] | None = None,
    lists: Mapping[str, tuple[Sequence[int], float]] | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Judgement:
    """Build a judgement.

    Args:
        ranks: of the targets, by variant; default: all are 1.
        unknown: number of unknown targets, which are the first, by variant.
        lists: the users with lists, and the churn of each, by variant.
        seconds: of training, by variant; default: a minute.
    """
    ranks = ranks or dict.fromkeys(VARIANTS, [1] * len(users))
    lists = lists or {}
    return Judgement(
        period,
        np.array(users),
        {name: np.array(each, np.int32) for name, each in ranks.items()},
        {name: np.arange(len(users)) >= (unknown or {}).get(name, 0) for name in VARIANTS},
        {name: np.array(each, np.int64) for name, (each, _) in lists.items()},
        {
            name: {key: np.full(len(each), value) for key in ("overlap@10", "same_first")}
            for name, (each, value) in lists.items()
        },
        seconds or dict.fromkeys((SCRATCH, *VARIANTS), 60.0),
    )
