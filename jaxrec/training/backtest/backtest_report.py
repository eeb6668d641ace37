"""The report of a backtest: tables, and the files that are written after each period."""

from dataclasses import asdict, dataclass, replace

from jaxrec.config.experiment import Config
from jaxrec.data.periods import format_time
from jaxrec.evaluation.churn import OVERLAP, SAME_FIRST
from jaxrec.runs.plots import save_plot
from jaxrec.runs.report import plus_minus
from jaxrec.runs.summary import describe_history
from jaxrec.runs.text_table import format_table
from jaxrec.training.backtest.backtest_config import BacktestConfig, flags_of
from jaxrec.training.backtest.backtest_directory import PLOT, BacktestDirectory
from jaxrec.training.backtest.backtest_plot import draw_backtest
from jaxrec.training.backtest.figures import (
    NEVER,
    SCRATCH,
    VARIANTS,
    WARM,
    Estimate,
    Judgement,
    PeriodFigures,
    VariantFigures,
    compute_figures,
)

_ABOUT = """\
scratch: trained from random parameters at each date; warm: from the model of the date before;
never: the model of the first date. Judged on all activities until the next date, each of which has
the same weight; one of an item that is unknown to the model is missed."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """The figures of a backtest so far.

    Attributes:
        config: the settings of the models.
        settings: the settings of the backtest.
        ticks_per_second: the unit of the times of the log.
        judgements: of the periods so far.
        periods: their figures.
    """

    config: Config
    settings: BacktestConfig
    ticks_per_second: int
    judgements: tuple[Judgement, ...] = ()
    periods: tuple[PeriodFigures, ...] = ()

    def add(self, judgement: Judgement) -> "Backtest":
        """Return the backtest with one more period."""
        return replace(
            self,
            judgements=(*self.judgements, judgement),
            periods=(*self.periods, compute_figures([judgement])),
        )

    def after_first(self) -> PeriodFigures | None:
        """Compute the figures of all periods after the first, in which the variants differ."""
        return compute_figures(self.judgements[1:]) if self.judgements[1:] else None

    def report(self) -> str:
        """Return the figures of each period, and of all after the first, as text tables."""
        return render_tables(self)

    def date(self, time: float) -> str:
        """Format a time of the log."""
        return format_time(time, self.ticks_per_second)


def save_report(backtest: Backtest, directory: BacktestDirectory) -> None:
    """Write the figures and the plot of a backtest."""
    after_first = backtest.after_first()
    directory.save(
        {
            "settings": flags_of(backtest.settings, backtest.config),
            "periods": [_as_json(backtest, each) for each in backtest.periods],
            "after_first": after_first and _as_json(backtest, after_first),
        }
    )
    dates = [backtest.date(each.period.start) for each in backtest.periods]
    figure = draw_backtest(describe(backtest), dates, backtest.periods)
    save_plot(figure, directory.path / PLOT)


def _as_json(backtest: Backtest, figures: PeriodFigures) -> dict:
    dates = (figures.period.start, figures.period.end)
    start, end = map(backtest.date, dates)
    values = asdict(figures)
    return {"from": start, "until": end, **{k: v for k, v in values.items() if k != "period"}}


def describe(backtest: Backtest) -> str:
    """Describe in one line what was judged."""
    data, periods = backtest.config.data, backtest.periods
    return (
        f"{data.name}, {backtest.config.model.encoder}, N = {data.history_length}: {len(periods)} "
        f"periods of {backtest.settings.every} until {backtest.date(periods[-1].period.end)}, "
        f"{describe_history(not data.keep_seen)}"
    )


def render_tables(backtest: Backtest) -> str:
    """Format the figures of each period, and of all after the first, as tables."""
    head = f"{describe(backtest)}\n± and [...]: 95% interval, bootstrap over users\n{_ABOUT}"
    parts = [
        *(head, "recall@10 by the date of the training", _recall_table(backtest)),
        "overlap@10 with the lists of the model before, on the same histories; minutes of training "
        "with\ncompilation; targets of items that are unknown to the new models, and to the first",
        _cost_table(backtest),
    ]
    total = backtest.after_first()
    if total is not None:
        parts += [
            f"after the first date: {total.targets:,} targets of {total.users:,} users, up to "
            f"{total.largest_share:.1%} of them of one user; * excludes zero",
            _total_table(total),
        ]
    return "\n\n".join(parts)


def _recall_table(backtest: Backtest) -> str:
    cells = [["", "targets", "users", *VARIANTS]]
    for each in backtest.periods:
        recalls = [_plus_minus(each.variants[name].metrics["recall@10"]) for name in VARIANTS]
        counts = [f"{each.targets:,}", f"{each.users:,}"]
        cells.append([backtest.date(each.period.start), *counts, *recalls])
    return format_table(cells)


def _cost_table(backtest: Backtest) -> str:
    columns = [f"{metric}, {name}" for metric in ("overlap", "min") for name in (SCRATCH, WARM)]
    cells = [["", *columns, "unknown", f"unknown, {NEVER}"]]
    for each in backtest.periods:
        trained = [each.variants[name] for name in (SCRATCH, WARM)]
        row = [backtest.date(each.period.start), *(_churn(one, OVERLAP) for one in trained)]
        row += [f"{one.training_seconds / 60:.1f}" for one in trained]
        row += [f"{each.variants[name].unknown_targets:,}" for name in (SCRATCH, NEVER)]
        cells.append(row)
    return format_table(cells)


def _total_table(total: PeriodFigures) -> str:
    columns = ["recall@10", "ndcg@10", "recall@10 - scratch", "overlap@10", "same first"]
    cells = [["", *columns, "minutes", "of scratch"]]
    seconds = {name: total.variants[name].training_seconds for name in VARIANTS}
    for name in VARIANTS:
        each = total.variants[name]
        row = [name, *(_plus_minus(each.metrics[metric]) for metric in ("recall@10", "ndcg@10"))]
        row.append("" if name == SCRATCH else _difference(each.minus_scratch["recall@10"]))
        row += [_churn(each, metric) for metric in (OVERLAP, SAME_FIRST)]
        row += [f"{seconds[name] / 60:.1f}", f"{seconds[name] / seconds[SCRATCH]:.0%}"]
        cells.append(row)
    return format_table(cells)


def _plus_minus(estimate: Estimate) -> str:
    return plus_minus(estimate.mean, (estimate.low, estimate.high))


def _churn(figures: VariantFigures, metric: str) -> str:
    return _plus_minus(figures.churn[metric]) if figures.churn else ""


def _difference(estimate: Estimate) -> str:
    mark = "*" if estimate.low > 0 or estimate.high < 0 else " "
    return f"{estimate.mean:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]{mark}"
