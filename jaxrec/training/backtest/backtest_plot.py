"""The plot of a backtest: recall, overlap and training time by period."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from jaxrec.evaluation.churn import OVERLAP
from jaxrec.runs.plots import label_ends, separate_labels, three_panels
from jaxrec.training.backtest.figures import NEVER, SCRATCH, VARIANTS, WARM, Estimate, PeriodFigures

_COLOURS = {SCRATCH: "tab:blue", WARM: "tab:orange", NEVER: "tab:grey"}
# At most so many dates are written below an axis.
_MAX_TICKS = 6


def draw_backtest(title: str, dates: Sequence[str], periods: Sequence[PeriodFigures]) -> Figure:
    """Plot recall@10 and overlap@10 with their intervals, and the cumulative training time.

    Args:
        dates: the start of each period.
        periods: at least one.
    """
    figure, (recall_axes, overlap_axes, time_axes) = three_panels(
        f"{title}; bars are 95% intervals over users"
    )
    recall = {
        name: [each.variants[name].metrics["recall@10"] for each in periods] for name in VARIANTS
    }
    overlap = {
        name: [each.variants[name].churn.get(OVERLAP) for each in periods]
        for name in (SCRATCH, WARM)
    }
    labels = _draw_estimates(recall_axes, recall) + _draw_estimates(overlap_axes, overlap)
    labels += _draw_minutes(time_axes, periods)
    recall_axes.set(ylabel="recall@10 in the period", ylim=(0, None))
    overlap_axes.set(ylabel="overlap@10 with the model before", ylim=(0, 1.02))
    time_axes.set(ylabel="minutes of training, cumulative", ylim=(0, None))
    every = -(-len(dates) // _MAX_TICKS)
    for axes in (recall_axes, overlap_axes, time_axes):
        axes.set_xlim(-0.5, len(dates) - 0.5)
        axes.set_xticks(
            range(0, len(dates), every), dates[::every], rotation=30, ha="right", fontsize=8
        )
    separate_labels(figure, labels)
    return figure


def _draw_estimates(
    axes: Axes, estimates: Mapping[str, Sequence[Estimate | None]]
) -> list[Annotation]:
    """Draw a line with intervals for each variant; None is left out."""
    ends = []
    for shift, (name, values) in enumerate(estimates.items()):
        known = [(i, each) for i, each in enumerate(values) if each is not None]
        if not known:
            continue
        # Shifted by variant, so that no interval hides another.
        xs = [i + 0.08 * (shift - 1) for i, _ in known]
        means = [each.mean for _, each in known]
        lows, highs = [each.low for _, each in known], [each.high for _, each in known]
        axes.plot(xs, means, marker="o", markersize=4, color=_COLOURS[name])
        axes.vlines(xs, lows, highs, color=_COLOURS[name])
        ends.append((name, means[-1], _COLOURS[name]))
    return label_ends(axes, ends)


def _draw_minutes(axes: Axes, periods: Sequence[PeriodFigures]) -> list[Annotation]:
    ends = []
    for name in VARIANTS:
        minutes = list(accumulate(each.variants[name].training_seconds / 60 for each in periods))
        axes.plot(minutes, marker="o", markersize=4, color=_COLOURS[name])
        ends.append((name, minutes[-1], _COLOURS[name]))
    return label_ends(axes, ends)
