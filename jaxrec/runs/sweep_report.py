"""The report of a sweep: its results as Markdown and CSV, and the plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from jaxrec.files import read_json, replacing
from jaxrec.runs.plots import save_plot
from jaxrec.runs.report import describe, plus_minus
from jaxrec.runs.summary import Summary
from jaxrec.runs.sweep_plots import draw_frontier, draw_quality
from jaxrec.runs.sweep_results import METRICS, Row, make_rows


def write_report(folder: Path, cells: Mapping[Path, Summary], latency: Path | None) -> str:
    """Write tables and plots, and return the Markdown table.

    Args:
        cells: the summary of each cell, by the path of its model, whether or not it is converted.
        latency: the file that `jaxrec benchmark` wrote about the exports, if they were timed.
    """
    rows, first = make_rows(cells.values()), next(iter(cells.values()))
    table = render(first, rows)
    for name, text in (("table.md", table), ("table.csv", render_csv(rows))):
        with replacing(folder / name) as file:
            file.write(text.encode())
    save_plot(draw_quality(first, rows), folder / "quality.png")
    if latency:
        save_plot(draw_frontier(cells, read_json(latency)), folder / "frontier.png")
    return table


def render(summary: Summary, rows: Sequence[Row]) -> str:
    """Format the rows and the baselines as a Markdown table under their protocol."""
    lines = [
        f"{describe(summary.protocol)}; ± is {summary.protocol.interval}",
        "",
        "| | N | seeds | recall@10 | NDCG@10 | validation recall@10 | parameters | training time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.encoder, str(row.history_length), str(row.seeds)]
        cells += [_with_interval(row, name) for name in METRICS]
        cells += [f"{row.validation:.4f}", f"{row.parameters:,}", f"{row.minutes:.1f} min"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, figures in summary.baselines.items():
        values = " | ".join(f"{figures.means[metric]:.4f}" for metric in METRICS)
        lines.append(f"| {name} | | | {values} | | | |")
    return "\n".join(lines) + "\n"


def _with_interval(row: Row, name: str) -> str:
    cell = plus_minus(row.means[name], row.intervals[name])
    if row.seeds > 1:
        least, most = row.spreads[name]
        cell += f" (seeds {least:.4f} to {most:.4f})"
    return cell


def render_csv(rows: Sequence[Row]) -> str:
    """Format the rows as CSV."""
    return pl.DataFrame([_columns(row) for row in rows]).write_csv()


def _columns(row: Row) -> dict[str, Any]:
    columns = {"encoder": row.encoder, "history_length": row.history_length, "seeds": row.seeds}
    for name in METRICS:
        names = (name, f"{name}_low", f"{name}_high", f"{name}_min_seed", f"{name}_max_seed")
        values = (row.means[name], *row.intervals[name], *row.spreads[name])
        columns |= zip(names, values, strict=True)
    costs = {"parameters": row.parameters, "minutes": row.minutes}
    return {**columns, "validation_recall@10": row.validation, **costs}
