"""The tables and plots of a sweep."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from jaxrec.runs.plots import spread
from jaxrec.runs.summary import Figures, ModelFacts, Protocol, Summary, TrainingFigures
from jaxrec.runs.sweep_plots import draw_frontier, draw_quality
from jaxrec.runs.sweep_report import render, render_csv
from jaxrec.runs.sweep_results import make_rows
from tests.small_data import NO_LOG_SUMMARY

PROTOCOL = Protocol(
    dataset="made-up",
    split="leave-one-out",
    leaks_the_future=False,
    train_on_validation=False,
    history_length=10,
    candidates=300,
    excludes_history=True,
    test_targets=5000,
    test_users=5000,
    test_targets_seen_before=0,
    interval="95%, bootstrap over users",
    seed=0,
    log_summary=NO_LOG_SUMMARY,
)


def make_figures(recall: float) -> Figures:
    means = {"recall@10": recall, "ndcg@10": recall / 2}
    intervals = {name: (value - 0.01, value + 0.02) for name, value in means.items()}
    return Figures(means, intervals, coverage=0.5)


def make_summary(encoder: str, length: int, recall: float, seconds: float = 60) -> Summary:
    """Build the summary of a fictitious run."""
    return Summary(
        replace(PROTOCOL, history_length=length),
        test=make_figures(recall),
        validation=make_figures(recall + 0.1),
        baselines={"transitions": make_figures(0.2), "popularity": make_figures(0.2)},
        train=TrainingFigures(1000.0, seconds, 1.0, steps=10, epochs=1, best_epoch=1),
        model=ModelFacts(encoder, 1234),
    )


def test_seeds_are_aggregated_into_one_row_with_their_range():
    summaries = [
        make_summary("rnn", 10, 0.30, 60),
        make_summary("rnn", 10, 0.34, 120),
        make_summary("rnn", 10, 0.32, 600),
        make_summary("bow", 50, 0.25, 30),
    ]
    first, second = make_rows(summaries)
    assert (first.encoder, first.history_length, first.seeds) == ("rnn", 10, 3)
    assert first.means["recall@10"] == pytest.approx(0.32)
    assert first.spreads["recall@10"] == (0.30, 0.34)
    assert first.intervals["recall@10"] == pytest.approx((0.31, 0.34))
    assert (first.minutes, second.seeds) == (2, 1)
    table = render(summaries[0], [first, second])
    assert "| rnn | 10 | 3 | 0.3200 ±0.0150 (seeds 0.3000 to 0.3400) |" in table
    assert "| bow | 50 | 1 | 0.2500 ±0.0150 | 0.1250 ±0.0150 | 0.3500 | 1,234 | 0.5 min |" in table
    assert "| transitions | | | 0.2000 | 0.1000 | | | |" in table
    rows = list(csv.DictReader(io.StringIO(render_csv([first, second]))))
    assert float(rows[0]["recall@10_max_seed"]) == 0.34
    assert rows[1]["history_length"] == "50"


def test_spread_moves_positions_as_little_as_possible():
    assert spread([0.3, 0.1, 0.9], gap=0.05) == [0.3, 0.1, 0.9]
    assert spread([0.30, 0.31, 0.1], gap=0.05) == pytest.approx([0.30, 0.35, 0.1])
    assert spread([], gap=1.0) == []


def test_spread_separates_only_neighboring_positions():
    columns = [0, 1, 0, 1]
    positions = spread(
        [0.3, 0.3, 0.3, 0.9],
        0.1,
        lambda one, other: columns[one] == columns[other],
    )
    assert positions == pytest.approx([0.3, 0.3, 0.4, 0.9])


def make_timed(name: str, recall: float, microseconds: float, kilobytes: float) -> dict[str, Any]:
    """Build a fictitious result of convert/benchmark.py for one file."""
    cost = {"microseconds": {"p50": microseconds}, "file_bytes": 1000 * kilobytes}
    return {"name": name, "recall@10": recall, **cost}


def draw_plots(encoders: Sequence[str], lengths: Sequence[int], spread: float) -> list[Figure]:
    """Draw both plots of a fictitious sweep whose points are spread over the given range."""
    rng = np.random.default_rng(0)
    cells = {
        Path(f"{encoder}-{length}"): make_summary(encoder, length, 0.2 + spread * rng.random())
        for encoder in encoders
        for length in lengths
    }
    timed = [
        make_timed(
            str(model),
            each.test.means["recall@10"],
            20 + 20 * spread * rng.random() * each.protocol.history_length,
            160 + 100 * spread * rng.random(),
        )
        for model, each in cells.items()
    ]
    timed += [
        make_timed("recommendation_bow_i10o100", 0.01, 32.0, 512.0),
        make_timed("one_of_those_names_that_say_every_setting_there_is", 0.012, 40.0, 521.0),
    ]
    summaries = list(cells.values())
    return [draw_quality(summaries[0], make_rows(summaries)), draw_frontier(cells, timed)]


def texts_of(figure: Figure) -> list[Text]:
    """Return all texts of a figure, without tick labels outside the axes."""
    texts = [*figure.texts, *figure.legends[0].get_texts()] if figure.legends else [*figure.texts]
    for axes in figure.axes:
        texts += axes.texts
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            numbers = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            texts += [axis.label, *(each for folder, each in numbers if low <= folder <= high)]
    return texts


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return all pairs of texts whose rendered bounding boxes overlap."""
    figure.savefig(io.BytesIO(), format="png")
    boxes = [(each.get_text(), Text.get_window_extent(each)) for each in texts_of(figure)]
    return [
        (first_text, second_text)
        for (first_text, first), (second_text, second) in combinations(boxes, 2)
        if first.overlaps(second)
    ]


@pytest.mark.parametrize("spread", [0, 0.01, 0.3])
@pytest.mark.parametrize(
    ("encoders", "lengths"),
    [
        (["rnn"], [10]),
        (["bow", "cnn", "rnn"], [10, 50, 100, 200]),
        (["bow", "cnn", "rnn", "transformer", "mixer"], [10, 180, 190, 200]),
    ],
    ids=["one", "the default", "many"],
)
def test_no_two_labels_overlap(encoders, lengths, spread):
    quality, frontier = draw_plots(encoders, lengths, spread)
    assert overlaps(quality) == overlaps(frontier) == []
    assert {each.get_text() for each in quality.axes[0].texts} == {
        *encoders,
        "transitions",
        "popularity",
    }
    numbers = sorted(int(each.get_text()) for each in frontier.axes[1].texts)
    assert numbers == sorted(lengths * len(encoders))


def test_encoders_have_distinct_colours_and_files_readable_names():
    encoders = ["bow", "cnn", "rnn", "transformer", "mixer"]
    for figure in draw_plots(encoders, [10, 50], 0.1):
        colours = {line.get_color() for line in figure.axes[0].lines if line.get_marker() == "o"}
        assert len(colours) == len(encoders)
    (legend,) = draw_plots(encoders, [10], 0.1)[1].legends
    names = [each.get_text() for each in legend.get_texts()]
    assert names == [
        *encoders,
        "recommendation bow i10o100",
        "one of those names that say …",
    ]
