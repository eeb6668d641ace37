"""The plots of a sweep: quality over the history length, and over the cost of a file."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from math import log
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from jaxrec.runs.plots import label, label_ends, separate_labels, two_panels
from jaxrec.runs.summary import Summary, describe_history
from jaxrec.runs.sweep_results import METRICS, NAMES, Row

# Longest name of a published model in the legend, in characters.
_MAX_NAME_LENGTH = 32

# Cost of a file by axis label, from the figures that `jaxrec benchmark` writes.
_COSTS: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "median latency, µs, one thread of this machine": lambda one: one["microseconds"]["p50"],
    "file size, KB": lambda one: one["file_bytes"] / 1e3,
}


def draw_quality(summary: Summary, rows: Sequence[Row]) -> Figure:
    """Plot both metrics over N, with a line per encoder, 95% intervals and baselines as levels."""
    protocol = summary.protocol
    figure, panels = two_panels(
        f"{protocol.dataset}, {protocol.split}, {protocol.test_users:,} test users, "
        f"{describe_history(protocol.excludes_history)}; bars are 95% intervals over users"
    )
    colours = _colours(row.encoder for row in rows)
    by_length = sorted(rows, key=lambda row: row.history_length)
    lengths = _spaced_ticks([row.history_length for row in by_length])
    labels = []
    for axes, name in zip(panels, METRICS, strict=True):
        axes.set_xscale("log")
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set(xlabel="history length N, items", ylabel=f"{NAMES[name]}, test users")
        ends = []
        for number, (encoder, colour) in enumerate(colours.items()):
            own = [row for row in by_length if row.encoder == encoder]
            # Shifted by encoder, so that no interval hides another.
            xs = [row.history_length * (1 + 0.03 * number) for row in own]
            ys = [row.means[name] for row in own]
            lows, highs = zip(*(row.intervals[name] for row in own), strict=True)
            axes.plot(xs, ys, marker="o", color=colour)
            axes.vlines(xs, lows, highs, color=colour)
            ends.append((encoder, ys[-1], colour))
        for baseline, figures in summary.baselines.items():
            axes.axhline(figures.means[name], color="grey", linestyle=":")
            ends.append((baseline, figures.means[name], "grey"))
        axes.set_ylim(0, axes.get_ylim()[1])
        labels += label_ends(axes, ends)
    separate_labels(figure, labels)
    return figure


def draw_frontier(cells: Mapping[Path, Summary], timed: Sequence[Mapping[str, Any]]) -> Figure:
    """Plot recall@10 of the files against latency and size, with a line per encoder over N.

    Published models are crosses.

    Args:
        cells: the summary of each cell, by the path of its model.
        timed: the figures of each file that `jaxrec benchmark` wrote.
    """
    known = {str(model): summary for model, summary in cells.items()}
    own = [(known[each["name"]], each) for each in timed if each["name"] in known]
    published = [each for each in timed if each["name"] not in known]
    colours = _colours(summary.model.encoder for summary, _ in own)
    figure, panels = two_panels(
        "recall@10 of the .tflite files over their latency and size; labels are N"
    )
    labels = []
    for axes, (title, cost) in zip(panels, _COSTS.items(), strict=True):
        axes.set_xscale("log")
        for encoder, colour in colours.items():
            points = sorted(
                (summary.protocol.history_length, cost(each), each["recall@10"])
                for summary, each in own
                if summary.model.encoder == encoder
            )
            _, xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, marker="o", color=colour, label=encoder, linewidth=1)
            labels += [
                label(axes, str(length), (x, y), colour, up=7.0, fontsize=8)
                for length, x, y in points
            ]
        for each, marker in zip(published, cycle("x+1234"), strict=False):
            name = each["name"].replace("_", " ")
            short = textwrap.shorten(name, _MAX_NAME_LENGTH, placeholder=" …")
            place = cost(each), each["recall@10"]
            axes.plot(*place, marker, color="black", markersize=9, label=short)
        axes.set(xlabel=title, ylabel="recall@10, test users", ylim=(0, None))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    handles, names = panels[0].get_legend_handles_labels()
    columns = min(len(names), 5)
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    separate_labels(figure, labels)
    return figure


def _colours(encoders: Iterable[str]) -> dict[str, str]:
    """Assign each encoder a colour of the cycle, in order of appearance."""
    return {encoder: f"C{number}" for number, encoder in enumerate(dict.fromkeys(encoders))}


def _spaced_ticks(lengths: Sequence[int]) -> list[int]:
    """Return the lengths whose tick labels do not overlap: over an eighth of the axis apart."""
    kept = [lengths[0]]
    for length in lengths:
        if log(length / kept[-1]) > 0.125 * log(lengths[-1] / lengths[0]):
            kept.append(length)
    return kept
