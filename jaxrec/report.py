"""The report of a run: one table for people, one summary for programs, one picture."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxrec.config import Config
from jaxrec.data.dataset import Dataset
from jaxrec.evaluate import Ranking
from jaxrec.files import replacing
from jaxrec.text_table import lay_out

Metrics = Mapping[str, Any]

_COLUMNS = ("recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr", "mean_rank")
_WITH_INTERVAL = ("recall@10", "ndcg@10")


def protocol(config: Config, dataset: Dataset, ranking: Ranking) -> dict[str, Any]:
    """Say how the figures were taken: a figure without this means nothing."""
    return {
        "dataset": Path(config.data.dataset).stem,
        "split": config.data.split,
        "leaks_the_future": config.data.split == "random-pairs",
        "final_fit": config.data.final_fit,
        "history_length": config.data.history_length,
        "candidates": dataset.vocabulary.size,
        "seen_items": "kept" if config.data.keep_seen else "left out",
        "test_targets": len(ranking.ranks),
        "test_users": len(set(ranking.users.tolist())),
        "test_targets_seen_before": ranking.seen_targets,
        "interval": "95%, bootstrap over users",
        "seed": config.train.seed,
    }


def describe(told: Mapping[str, Any]) -> str:
    """Say a protocol in one line, but for N and the interval, which differ between tables."""
    return (
        f"{told['dataset']}, {told['split']}"
        f"{', validation targets learned too' if told.get('final_fit') else ''}: "
        f"{told['test_targets']:,} targets of "
        f"{told['test_users']:,} test users, {told['candidates']:,} candidates, seen items "
        f"{told['seen_items']}"
    )


def plus_minus(mean: float, interval: Sequence[float]) -> str:
    """Give a mean with half the width of its interval."""
    low, high = interval
    return f"{mean:.4f} ±{(high - low) / 2:.4f}"


def training_figures(epochs: list[dict[str, Any]], best_epoch: int) -> dict[str, Any]:
    """Sum the epochs up; targets/s is the median of the epochs, the first of which compiles."""
    return {
        "targets_per_s": statistics.median(line["targets"] / line["seconds"] for line in epochs),
        "seconds": sum(line["seconds"] for line in epochs),
        "validation_seconds": sum(line["validation_seconds"] for line in epochs),
        "steps": epochs[-1]["step"],
        "epochs": epochs[-1]["epoch"],
        "best_epoch": best_epoch,
    }


def render_table(summary: Mapping[str, Any], encoder: str) -> str:
    """Lay the test figures of the model and its baselines out under their protocol."""
    told = summary["protocol"]
    lines = [f"{describe(told)}, N = {told['history_length']}, ± is {told['interval']}"]
    if told["leaks_the_future"]:
        lines.append(
            "random-pairs leaks the future: training saw what these users did later, so these "
            "figures are comparable with no other split"
        )
    repeated = told["test_targets_seen_before"]
    if repeated and told["seen_items"] == "left out":
        lines.append(
            f"{repeated:,} targets are items that the user had met before; they count as missed. "
            "If people come back to the same items, give --keep-seen"
        )
    rows = {encoder: summary["test"], **summary["baselines"]}
    cells = [["", *(name.replace("_", " ") for name in _COLUMNS), "coverage@10"]]
    cells += [
        [name, *(_cell(column, row) for column in _COLUMNS), f"{row['coverage@10']:.1%}"]
        for name, row in rows.items()
    ]
    return "\n".join([*lines, "", lay_out(cells)])


def _cell(column: str, row: Metrics) -> str:
    if column == "mean_rank":
        return f"{row[column]:,.1f}"
    if column not in _WITH_INTERVAL:
        return f"{row[column]:.4f}"
    return plus_minus(row[column], row[f"{column}_interval"])


def draw_curve(
    path: Path, title: str, epochs: list[dict[str, Any]], baselines: Mapping[str, Metrics]
) -> None:
    """Draw loss and validation figures by epoch, as a PNG, with the baselines as lines.

    Args:
        baselines: validation figures of each baseline.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    loss_axes, quality_axes = figure.subplots(1, 2)
    numbers = [line["epoch"] for line in epochs]
    loss_axes.plot(numbers, [line["loss"] for line in epochs], marker=".")
    loss_axes.set(xlabel="epoch", ylabel="training loss, nats a target")
    for name, colour in (("recall@10", "tab:blue"), ("ndcg@10", "tab:orange")):
        curve = [line["validation"][name] for line in epochs]
        quality_axes.plot(numbers, curve, marker=".", color=colour)
        quality_axes.annotate(
            f" {name}", (numbers[-1], curve[-1]), color=colour, va="center", annotation_clip=False
        )
    for name, figures in baselines.items():
        level = figures["recall@10"]
        quality_axes.axhline(level, color="grey", linestyle=":")
        quality_axes.annotate(
            f" {name}, recall@10", (numbers[0], level), color="grey", va="bottom", fontsize=8
        )
    quality_axes.set(xlabel="epoch", ylabel="validation", ylim=(0, None))
    quality_axes.margins(x=0.12)
    for axes in (loss_axes, quality_axes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
