"""Figures of a backtest by hand: means over targets, differences, churn and times."""

import numpy as np
import pytest

from jaxrec.data.splits import Period
from jaxrec.training.backtest.figures import NEVER, SCRATCH, VARIANTS, WARM, compute_figures
from tests.training.backtest.small_judgements import judgement


def test_the_figures_of_a_period_by_hand():
    figures = compute_figures(
        [
            judgement(
                users=[1, 1, 1, 2],
                ranks={SCRATCH: [1, 10, 11, 3], WARM: [1, 11, 11, 3], NEVER: [99, 99, 11, 3]},
                unknown={NEVER: 2},
                seconds={SCRATCH: 60.0, WARM: 15.0, NEVER: 0.0},
            )
        ]
    )
    assert (figures.targets, figures.users, figures.largest_share) == (4, 2, 0.75)
    means = {name: each.metrics["recall@10"].mean for name, each in figures.variants.items()}
    assert means == {SCRATCH: 0.75, WARM: 0.5, NEVER: 0.25}
    gain = {1: 1.0, 3: 0.5, 10: 1 / np.log2(11)}
    expected = (gain[1] + gain[10] + gain[3]) / 4
    assert figures.variants[SCRATCH].metrics["ndcg@10"].mean == pytest.approx(expected)
    differences = figures.variants[NEVER].minus_scratch["recall@10"]
    assert differences.mean == -0.5
    # Resampled users: of user 1 alone, -2/3; of user 2 alone, 0.
    assert (differences.low, differences.high) == (pytest.approx(-2 / 3), 0.0)
    own = figures.variants[SCRATCH].minus_scratch["recall@10"]
    assert (own.mean, own.low, own.high) == (0, 0, 0)
    assert [figures.variants[name].unknown_targets for name in VARIANTS] == [0, 0, 2]
    assert figures.variants[WARM].training_seconds == 15.0
    assert figures.variants[WARM].churn == {}


def test_several_periods_are_pooled_by_target_and_by_list():
    first = judgement(
        users=[1],
        ranks={SCRATCH: [1], WARM: [1], NEVER: [1]},
        lists={SCRATCH: ([1], 0.5), WARM: ([1], 1.0)},
    )
    second = judgement(
        period=Period(10, 20),
        users=[1, 2, 3],
        ranks={SCRATCH: [99, 99, 99], WARM: [1, 99, 99], NEVER: [99, 99, 99]},
        lists={SCRATCH: ([1, 2, 3], 0.1), WARM: ([2], 0.0)},
    )
    figures = compute_figures([first, second])
    assert figures.period == Period(0, 20)
    assert (figures.targets, figures.users) == (4, 3)
    assert figures.variants[WARM].metrics["recall@10"].mean == 0.5
    assert figures.variants[WARM].minus_scratch["recall@10"].mean == 0.25
    assert figures.variants[SCRATCH].churn["overlap@10"].mean == pytest.approx(0.2)
    assert figures.variants[WARM].churn["overlap@10"].mean == 0.5
    assert figures.variants[NEVER].churn == {}
    assert figures.variants[SCRATCH].training_seconds == 120.0


def test_no_common_list_is_no_churn():
    lists: dict[str, tuple[list[int], float]] = {SCRATCH: ([], 0.0), WARM: ([], 0.0)}
    figures = compute_figures([judgement(users=[1], lists=lists)])
    assert figures.variants[SCRATCH].churn == {}
