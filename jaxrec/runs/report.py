"""The report of a run: the figures of its summary, a text table and the training curve."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.data.log_summary import LogSummary
from jaxrec.data.target_weights import effective_sample_size
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values
from jaxrec.evaluation.ranking import Ranking
from jaxrec.evaluation.slices import GRADED, LATER, Slices, label, metrics_in
from jaxrec.runs.plots import label_ends, save_plot, separate_labels, two_panels
from jaxrec.runs.summary import Figures, Protocol, Summary, TrainingFigures, describe_history
from jaxrec.runs.text_table import format_table

_COLUMNS = ("recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr", "mean_rank")
_WITH_INTERVAL = ("recall@10", "ndcg@10")

# Share of steps with equal times from which on their order is noted beside the figures.
_MIN_TIED_STEPS = 0.25

# Row labels of a model that knows the target's time, and of the same model without that time.
KNOWS_TARGET_TIME, UNKNOWN_TARGET_TIME = "knows the target's time", "target time unknown"


def protocol(
    config: Config, dataset: Dataset, ranking: Ranking, found: Slices | None = None
) -> Protocol:
    """Return the protocol of a ranking; figures of different protocols are not comparable."""
    weights, test_users = dataset.weights, len(set(ranking.users.tolist()))
    requested_users = config.data.test_users
    return Protocol(
        dataset=config.data.name,
        split=config.data.split,
        leaks_the_future=config.data.split == "random-pairs",
        train_on_validation=config.data.train_on_validation,
        history_length=config.data.history_length,
        candidates=dataset.vocabulary.size,
        excludes_history=not config.data.keep_seen,
        test_targets=len(ranking.ranks),
        test_users=test_users,
        test_targets_seen_before=ranking.seen_targets,
        interval="95%, bootstrap over users",
        seed=config.train.seed,
        log_summary=dataset.log_summary,
        target_events=config.data.target_events,
        target_weight=config.data.target_weight,
        effective_targets=None if weights is None else effective_sample_size(weights),
        validation_targets=len(dataset.split.validation),
        validation_users=dataset.validation_users if dataset.split.drawn_from else None,
        users_drawn=requested_users is not None and requested_users <= test_users,
        knows_target_time=config.data.knows_target_time,
        slices={name: int(np.count_nonzero(each)) for name, each in (found or {}).items()},
    )


def figures_of(ranking: Ranking, candidates: int, found: Slices | None = None) -> Figures:
    """Compute every metric of a ranking with its 95% interval.

    Args:
        candidates: the number of candidates.
        found: the slices of the targets that get figures of their own.
    """
    every = target_values(ranking.ranks)
    averages, intervals = means(every), bootstrap_intervals(every, ranking.users)
    for name, weights in (found or {}).items():
        values = {label(metric, name): every[metric] for metric in metrics_in(name)}
        averages |= means(values, weights)
        intervals |= bootstrap_intervals(values, ranking.users, weights)
    return Figures(averages, intervals, ranking.covered / candidates)


def describe(protocol: Protocol) -> str:
    """Format a protocol in one line, without N and the interval, which differ between tables."""
    return (
        f"{protocol.dataset}, {protocol.split}"
        f"{f', only {protocol.target_events}' if protocol.target_events else ''}"
        f"{', trained on validation targets too' if protocol.train_on_validation else ''}: "
        f"{protocol.test_targets:,} targets of {protocol.test_users:,} "
        f"{'sampled ' if protocol.users_drawn else ''}test users, "
        f"{protocol.candidates:,} candidates, {describe_history(protocol.excludes_history)}"
        f"{f', {KNOWS_TARGET_TIME}' if protocol.knows_target_time else ''}"
    )


def plus_minus(mean: float, interval: Sequence[float]) -> str:
    """Format a mean with half the width of its interval."""
    low, high = interval
    return f"{mean:.4f} ±{(high - low) / 2:.4f}"


def training_figures(epochs: list[dict[str, Any]], best_epoch: int) -> TrainingFigures:
    """Summarize the epochs; targets/s is their median, because the first epoch compiles."""
    return TrainingFigures(
        targets_per_s=statistics.median(line["targets"] / line["seconds"] for line in epochs),
        seconds=sum(line["seconds"] for line in epochs),
        validation_seconds=sum(line["validation_seconds"] for line in epochs),
        steps=epochs[-1]["step"],
        epochs=epochs[-1]["epoch"],
        best_epoch=best_epoch,
    )


def render_table(summary: Summary) -> str:
    """Format the test figures of the model and its baselines as a table under their protocol."""
    protocol = summary.protocol
    lines = [f"{describe(protocol)}, N = {protocol.history_length}, ± is {protocol.interval}"]
    if protocol.leaks_the_future:
        lines.append(
            "random-pairs leaks the future: training includes later activities of these users, so "
            "these figures are not comparable with those of other splits"
        )
    log = protocol.log_summary
    if log.tied_steps >= _MIN_TIED_STEPS:
        lines.append(
            f"{log.tied_steps:.0%} of consecutive activities have equal times: {_tie_order(log)}"
        )
    if protocol.validation_users is not None:
        lines.append(f"validated on {protocol.validation_users:,} of the users, a random sample")
    if protocol.split == "temporal":
        lines.append("a history has all earlier activities of its user, those after the cut too")
    if protocol.test_targets_seen_before and protocol.excludes_history:
        lines.append(
            f"{protocol.test_targets_seen_before:,} targets are items of the user's history; "
            "they are excluded, and count as missed. If users return to items, give --keep-seen"
        )
    encoder = summary.model.encoder
    rows = {
        f"{encoder}, {KNOWS_TARGET_TIME}" if protocol.knows_target_time else encoder: summary.test
    }
    if summary.without_target_time:
        rows[f"{encoder}, {UNKNOWN_TARGET_TIME}"] = summary.without_target_time
    rows |= summary.baselines
    cells = [["", *(name.replace("_", " ") for name in _COLUMNS), "coverage@10"]]
    cells += [
        [name, *(_cell(column, row) for column in _COLUMNS), f"{row.coverage:.1%}"]
        for name, row in rows.items()
    ]
    return "\n".join(
        [*lines, "", format_table(cells), *_slice_lines(protocol, rows), *_head_lines(summary)]
    )


def _tie_order(log: LogSummary) -> str:
    if log.tie_seed is not None:
        return f"an order drawn by --break-ties={log.tie_seed} decides which of them are targets"
    return (
        "the order of the source decides which of them are targets; --break-ties=0 draws another "
        "order"
    )


def _head_lines(summary: Summary) -> list[str]:
    """Format the figures of each head as lines."""
    lines = []
    for head, rows in summary.heads.items():
        figures = next(iter(rows.values()))
        columns = [name for name in ("mae", "rmse", "concordance") if name in figures.means]
        cells = [["", *columns]]
        cells += [
            [name, *(plus_minus(each.means[column], each.intervals[column]) for column in columns)]
            for name, each in rows.items()
        ]
        heading = f"{head}: {figures.targets:,} targets"
        if figures.pairs:
            heading += f"; concordance: {figures.pairs:,} pairs of one user's targets that differ"
        lines += ["", heading, "", format_table(cells)]
    return lines


def _slice_lines(protocol: Protocol, rows: Mapping[str, Figures]) -> list[str]:
    """Format the figures of slices as lines; `LATER` only if the model knows the target's time."""
    shown = [name for name in protocol.slices if name != LATER or protocol.knows_target_time]
    columns = [label(metric, name) for name in shown for metric in metrics_in(name)]
    if not columns:
        return []
    cells = [["", *columns]]
    cells += [[name, *(plus_minus_of(row, each) for each in columns)] for name, row in rows.items()]
    about = "; ".join(about_slice(name, protocol.slices[name]) for name in shown)
    return ["", about, "", format_table(cells)]


def about_slice(name: str, targets: int) -> str:
    """Describe which targets a slice counts."""
    if name == GRADED:
        return f"{name}: targets are weighted by 2^g - 1, g from 0 for the lowest rating to 4"
    which = ", a minute or more after the previous activity" if name == LATER else ""
    return f"{name}: {targets:,} targets{which}"


def plus_minus_of(figures: Figures, name: str) -> str:
    """Format a metric with half the width of its interval."""
    return plus_minus(figures.means[name], figures.intervals[name])


def _cell(column: str, row: Figures) -> str:
    if column == "mean_rank":
        return f"{row.means[column]:,.1f}"
    if column not in _WITH_INTERVAL:
        return f"{row.means[column]:.4f}"
    return plus_minus_of(row, column)


def draw_curve(
    path: Path,
    title: str,
    epochs: list[dict[str, Any]],
    baselines: Mapping[str, float],
    unit: str = "epoch",
) -> None:
    """Plot loss and validation metrics by epoch, with baselines as lines, and write a PNG.

    Args:
        baselines: validation recall@10 of each baseline.
        unit: the label of the x axis.
    """
    figure, (loss_axes, quality_axes) = two_panels(title)
    numbers = [line["epoch"] for line in epochs]
    loss_axes.plot(numbers, [line["loss"] for line in epochs], marker=".")
    loss_axes.set(xlabel=unit, ylabel="training loss, nats per target")
    ends = [(f"{name}, recall@10", level, "grey") for name, level in baselines.items()]
    for name, colour in (("recall@10", "tab:blue"), ("ndcg@10", "tab:orange")):
        curve = [line["validation"][name] for line in epochs]
        quality_axes.plot(numbers, curve, marker=".", color=colour)
        ends.append((name, curve[-1], colour))
    for level in baselines.values():
        quality_axes.axhline(level, color="grey", linestyle=":")
    quality_axes.set(xlabel=unit, ylabel="validation", ylim=(0, None))
    for axes in (loss_axes, quality_axes):
        axes.locator_params(axis="x", integer=True)
    separate_labels(figure, label_ends(quality_axes, ends))
    save_plot(figure, path)
