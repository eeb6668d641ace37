"""The report of a sweep: a table for people, one for programs, and the plots."""

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import log10
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from jaxrec.files import read_json, replacing
from jaxrec.report import describe, plus_minus
from jaxrec.run_directory import SUMMARY

TABLE, CSV, QUALITY, FRONTIER = "table.md", "table.csv", "quality.png", "frontier.png"

NAMES = {"recall@10": "recall@10", "ndcg@10": "NDCG@10"}
METRICS = tuple(NAMES)
COLOURS = {"bow": "tab:green", "cnn": "tab:orange", "rnn": "tab:blue"}

_SIZE = (11, 4.5)
_DPI = 130


@dataclass(frozen=True)
class Result:
    """A finished cell.

    Attributes:
        summary: its summary.json.
        model: its .tflite, if it was converted.
    """

    run_dir: Path
    summary: Mapping[str, Any]
    model: Path | None

    @property
    def encoder(self) -> str:
        """bow, cnn or rnn."""
        return self.summary["model"]["encoder"]

    @property
    def history_length(self) -> int:
        """N."""
        return self.summary["protocol"]["history_length"]


@dataclass(frozen=True)
class Row:
    """An encoder at a history length, over its seeds.

    Attributes:
        means: each metric on the test users.
        intervals: its 95% interval over users, the mean of the seeds'.
        spreads: its lowest and highest seed.
        minutes: of training, the median seed.
    """

    encoder: str
    history_length: int
    seeds: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    spreads: Mapping[str, tuple[float, float]]
    validation: float
    parameters: int
    minutes: float


def read_results(run_dirs: Sequence[Path]) -> list[Result]:
    """Read what finished runs say of themselves."""
    results = []
    for run_dir in run_dirs:
        model = run_dir / "export" / "model.tflite"
        results.append(
            Result(run_dir, read_json(run_dir / SUMMARY), model if model.exists() else None)
        )
    return results


def write_report(folder: Path, results: Sequence[Result], latency: Path | None) -> str:
    """Write tables and plots; give the table for people.

    Args:
        latency: what convert/benchmark.py wrote about the exports, if they were timed.
    """
    rows = make_rows(results)
    timed = read_json(latency) if latency else []
    table = render(results[0].summary, rows)
    with replacing(folder / TABLE) as file:
        file.write(table.encode())
    with replacing(folder / CSV) as file:
        file.write(render_csv(rows).encode())
    draw_quality(folder / QUALITY, results[0].summary, rows)
    if timed:
        draw_frontier(folder / FRONTIER, results, timed)
    return table


def make_rows(results: Sequence[Result]) -> list[Row]:
    """Join the seeds of each encoder and history length, in the order in which they come."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for result in results:
        groups.setdefault((result.encoder, result.history_length), []).append(result.summary)
    return [_row(*key, summaries) for key, summaries in groups.items()]


def _row(encoder: str, history_length: int, summaries: Sequence[Mapping[str, Any]]) -> Row:
    tests = [summary["test"] for summary in summaries]

    def mean(values: Sequence[float]) -> float:
        return statistics.fmean(values)

    return Row(
        encoder,
        history_length,
        len(summaries),
        {name: mean([test[name] for test in tests]) for name in METRICS},
        {
            name: (
                mean([test[f"{name}_interval"][0] for test in tests]),
                mean([test[f"{name}_interval"][1] for test in tests]),
            )
            for name in METRICS
        },
        {
            name: (min(test[name] for test in tests), max(test[name] for test in tests))
            for name in METRICS
        },
        mean([summary["validation"]["recall@10"] for summary in summaries]),
        summaries[0]["model"]["parameters"],
        statistics.median(summary["train"]["seconds"] for summary in summaries) / 60,
    )


def render(summary: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Lay the rows and the baselines out in Markdown, under their protocol."""
    told = summary["protocol"]
    lines = [
        f"{describe(told)}; ± is {told['interval']}",
        "",
        "| | N | seeds | recall@10 | NDCG@10 | validation recall@10 | parameters | trained in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.encoder, str(row.history_length), str(row.seeds)]
        cells += [_with_interval(row, name) for name in METRICS]
        cells += [f"{row.validation:.4f}", f"{row.parameters:,}", f"{row.minutes:.1f} min"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, figures in summary["baselines"].items():
        values = " | ".join(f"{figures[metric]:.4f}" for metric in METRICS)
        lines.append(f"| {name} | | | {values} | | | |")
    return "\n".join(lines) + "\n"


def _with_interval(row: Row, name: str) -> str:
    cell = plus_minus(row.means[name], row.intervals[name])
    if row.seeds > 1:
        least, most = row.spreads[name]
        cell += f" (seeds {least:.4f} to {most:.4f})"
    return cell


def render_csv(rows: Sequence[Row]) -> str:
    """Lay the rows out for programs."""
    head = ["encoder", "history_length", "seeds"]
    for name in METRICS:
        head += [name, f"{name}_low", f"{name}_high", f"{name}_min_seed", f"{name}_max_seed"]
    head += ["validation_recall@10", "parameters", "minutes"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        cells: list[Any] = [row.encoder, row.history_length, row.seeds]
        for name in METRICS:
            cells += [row.means[name], *row.intervals[name], *row.spreads[name]]
        writer.writerow([*cells, row.validation, row.parameters, row.minutes])
    return text.getvalue()


def draw_quality(path: Path, summary: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Draw both metrics over N, a line an encoder with 95% intervals, baselines as levels."""
    told = summary["protocol"]
    figure, panels = _panels(
        f"{told['dataset']}, {told['split']}, {told['test_users']:,} test users, seen items "
        f"{told['seen_items']}; bars are 95% intervals over users"
    )
    lengths = sorted({row.history_length for row in rows})
    for axes, name in zip(panels, METRICS, strict=True):
        axes.set_xscale("log")
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set(xlabel="history length N, items", ylabel=f"{NAMES[name]}, test users")
        ends = []
        for number, encoder in enumerate(dict.fromkeys(row.encoder for row in rows)):
            own = sorted(
                (row for row in rows if row.encoder == encoder), key=lambda row: row.history_length
            )
            # Side by side, so that no bar hides another.
            xs = [row.history_length * (1 + 0.03 * number) for row in own]
            ys = [row.means[name] for row in own]
            below = [max(row.means[name] - row.intervals[name][0], 0) for row in own]
            above = [max(row.intervals[name][1] - row.means[name], 0) for row in own]
            axes.errorbar(xs, ys, (below, above), color=COLOURS[encoder], marker="o", capsize=3)
            ends.append((ys[-1], encoder, COLOURS[encoder]))
        for baseline, figures in summary["baselines"].items():
            axes.axhline(figures[name], color="grey", linestyle=":")
            ends.append((figures[name], baseline, "grey"))
        axes.set_ylim(0, axes.get_ylim()[1])
        _label_ends(axes, ends)
    _save(figure, path)


def draw_frontier(
    path: Path, results: Sequence[Result], timed: Sequence[Mapping[str, Any]]
) -> None:
    """Draw recall@10 through the file against latency and size, a line an encoder, N at its points.

    Published models are crosses.
    """
    known = {str(result.model): result for result in results}
    own = [(known[each["name"]], each) for each in timed if each["name"] in known]
    published = [each for each in timed if each["name"] not in known]
    figure, panels = _panels("recall@10 through the .tflite file, and what it costs; points say N")
    costs = {
        "median time of a call, µs, one thread of this machine": _microseconds,
        "size of the file, KB": _kilobytes,
    }
    for axes, (label, cost) in zip(panels, costs.items(), strict=True):
        axes.set_xscale("log")
        for encoder in dict.fromkeys(result.encoder for result, _ in own):
            points = sorted(
                (result.history_length, cost(each), each["recall@10"])
                for result, each in own
                if result.encoder == encoder
            )
            _, xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, marker="o", color=COLOURS[encoder], label=encoder, linewidth=1)
        for each, marker in zip(published, cycle("x+1234"), strict=False):
            axes.plot(
                *(cost(each), each["recall@10"], marker),
                color="black",
                markersize=9,
                label=each["name"],
            )
        axes.set(xlabel=label, ylabel="recall@10, test users", ylim=(0, None))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        _label_points(axes, [(result, cost(each), each["recall@10"]) for result, each in own])
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    _save(figure, path)


def _microseconds(timed: Mapping[str, Any]) -> float:
    return timed["microseconds"]["p50"]


def _kilobytes(timed: Mapping[str, Any]) -> float:
    return timed["file_bytes"] / 1e3


def spread(
    places: Sequence[float], gap: float, near: Callable[[int, int], bool] = lambda *_: True
) -> list[float]:
    """Move places up as little as their order allows, so that neighbours keep a gap.

    Args:
        near: whether the places of two indices are in each other's way.
    """
    moved = list(places)
    settled: list[int] = []
    for each in sorted(range(len(places)), key=places.__getitem__):
        below = [moved[other] + gap for other in settled if near(each, other)]
        moved[each] = max([places[each], *below])
        settled.append(each)
    return moved


def _panels(title: str) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(1, 2)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.15)
    return figure, panels


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name each line at its right end: its last value, its name, its colour."""
    low, high = axes.get_ylim()
    places = spread([value for value, _, _ in ends], gap=(high - low) * 0.05)
    for place, (_, name, colour) in zip(places, ends, strict=True):
        axes.annotate(
            f" {name}",
            (1, place),
            xycoords=("axes fraction", "data"),
            color=colour,
            va="center",
            annotation_clip=False,
        )


def _label_points(axes: Axes, points: Sequence[tuple[Result, float, float]]) -> None:
    """Write N above the right of each point, in the colour of its encoder."""
    low, high = axes.get_ylim()
    left, right = (log10(edge) for edge in axes.get_xlim())

    def near(one: int, other: int) -> bool:
        return abs(log10(points[one][1] / points[other][1])) < (right - left) * 0.06

    places = spread([y for _, _, y in points], (high - low) * 0.035, near)
    for place, (result, x, _) in zip(places, points, strict=True):
        axes.annotate(
            str(result.history_length),
            (x, place),
            xytext=(4, 5),
            textcoords="offset points",
            color=COLOURS[result.encoder],
            va="center",
            fontsize=8,
            annotation_clip=False,
        )


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)
