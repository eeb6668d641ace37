"""The command `sweep`: cells, reuse of finished runs, failures, tables and plots."""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from jaxrec.cli.sweep import Cell, SweepFlags, export_cell, main, make_cells, time_exports
from jaxrec.config.experiment import Config
from jaxrec.files import read_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.plots import spread
from jaxrec.runs.summary import Figures, ModelFacts, Protocol, Summary, TrainingFigures
from jaxrec.runs.sweep_plots import draw_frontier, draw_quality
from jaxrec.runs.sweep_report import render, render_csv, write_report
from jaxrec.runs.sweep_results import make_rows
from tests.exports import ENCODERS
from tests.small_data import NO_LOG_SUMMARY

TINY = [
    *("--synthetic.users=60", "--synthetic.items=30", "--embedding-dim=4", "--hidden-units=4"),
    *("--negatives=8", "--batch-size=16", "--epochs=1"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_failed_cell_does_not_stop_the_sweep_and_is_retried(place, capsys):
    command = ["--encoders=bow", "--history-lengths=4,5", "--sweep-dir=sweep", *TINY]
    (place / "sweep").mkdir()
    (place / "sweep" / "bow-n4-seed0").write_text("in the way")
    assert main(command) == 1
    captured = capsys.readouterr()
    assert "1 of 2 cells failed (bow-n4-seed0: --run-dir=sweep/bow-n4-seed0 is a file" in (
        captured.err
    )
    assert captured.err.count("\n") == 1
    assert "| bow | 5 | 1 |" in captured.out and "| bow | 4 |" not in captured.out
    kept = place / "sweep" / "bow-n5-seed0" / "summary.json"
    before = kept.stat().st_mtime_ns

    (place / "sweep" / "bow-n4-seed0").unlink()
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "| bow | 4 | 1 |" in table and "| bow | 5 | 1 |" in table
    assert kept.stat().st_mtime_ns == before
    assert (place / "sweep" / "table.md").read_text().strip() == table.strip()
    assert (place / "sweep" / "quality.png").stat().st_size > 10_000

    assert main([*command, "--epochs=2"]) == 2
    assert "is a run with other settings (--epochs: 1, not 2)" in capsys.readouterr().err
    assert kept.stat().st_mtime_ns == before


def test_cells_are_all_combinations_with_the_common_flags():
    flags = SweepFlags(encoders="cnn,bow", history_lengths="10,50", seeds="3,4")
    cells = make_cells(flags, ["--dataset=ml-1m", "--dropout", "0.1"])
    assert [cell.name for cell in cells] == [
        f"{encoder}-n{length}-seed{seed}"
        for encoder in ("cnn", "bow")
        for length in (10, 50)
        for seed in (3, 4)
    ]
    assert {str(cell.directory.path.parent) for cell in cells} == {"runs/sweep-ml-1m"}
    for cell in cells:
        encoder, length = cell.config.model.encoder, cell.config.data.history_length
        assert cell.name == f"{encoder}-n{length}-seed{cell.config.train.seed}"
        assert (cell.config.data.dataset, cell.config.model.dropout) == ("ml-1m", 0.1)


def test_encoder_flags_go_to_its_cells_and_a_config_file_to_all(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('encoder = "rnn"\nepochs = 7\nhistory-length = 3\n[rnn]\nlayers = 2\n')
    flags = SweepFlags(encoders="rnn,transformer", history_lengths="10")
    others = [f"--config={recipe}", "--transformer.blocks=1", "--model-shards=2"]
    recurrent, attention = make_cells(flags, others)
    assert (recurrent.config.model.rnn.layers, attention.config.model.rnn.layers) == (2, 1)
    assert attention.config.model.transformer.blocks == 1
    assert recurrent.config.model.transformer.blocks == 2
    for cell in (recurrent, attention):
        assert (cell.config.train.epochs, cell.config.data.history_length) == (7, 10)
        assert cell.flags == ["--model-shards=2"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--encoders=bow,rnn", "--transformer.blocks=1"],
            "--transformer.blocks=1 needs --encoder=transformer",
        ),
        (
            ["--encoders=transformer", "--hidden-units=10", "--transformer.heads=4"],
            "--hidden-units=10 cannot be divided by --transformer.heads=4",
        ),
        (["--encoders=bow,gru"], "has 'gru'; give some of bow,cnn,rnn,transformer"),
        (["--history-lengths=10,x"], "is not a list of whole numbers"),
        (["--history-lengths=10,5000"], "--history-length=5000 is out of range"),
        (["--seeds="], "is not a list of whole numbers"),
        (["--encoder=bow"], "--encoder is set by the sweep"),
        (["--resume"], "--resume is set by the sweep"),
        (["--epoch=3"], "Perhaps you meant: --epochs"),
        (["--epochs=0"], "--epochs=0 is out of range"),
        (
            ["--export", "--against=old=gone.tflite"],
            "gone.tflite is not a file; give --against=FILE",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(place, capsys, flags, words):
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(place.iterdir()) == []


def test_help_teaches(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--history-lengths" in text and "those of `jaxrec train`" in text


PROTOCOL = Protocol(
    dataset="made-up",
    split="leave-one-out",
    leaks_the_future=False,
    final_fit=False,
    history_length=10,
    candidates=300,
    seen_items="left out",
    test_targets=5000,
    test_users=5000,
    test_targets_seen_before=0,
    interval="95%, bootstrap over users",
    seed=0,
    intake=NO_LOG_SUMMARY,
)


def figures_of(recall: float) -> Figures:
    means = {"recall@10": recall, "ndcg@10": recall / 2}
    intervals = {name: (value - 0.01, value + 0.02) for name, value in means.items()}
    return Figures(means, intervals, coverage=0.5)


def summary_of(encoder: str, length: int, recall: float, seconds: float = 60) -> Summary:
    """Build the summary of a fictitious run."""
    return Summary(
        replace(PROTOCOL, history_length=length),
        test=figures_of(recall),
        validation=figures_of(recall + 0.1),
        baselines={"transitions": figures_of(0.2), "popularity": figures_of(0.2)},
        train=TrainingFigures(1000.0, seconds, 1.0, steps=10, epochs=1, best_epoch=1),
        model=ModelFacts(encoder, 1234),
    )


def test_seeds_are_aggregated_into_one_row_with_their_range():
    summaries = [
        summary_of("rnn", 10, 0.30, 60),
        summary_of("rnn", 10, 0.34, 120),
        summary_of("rnn", 10, 0.32, 600),
        summary_of("bow", 50, 0.25, 30),
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
    places = spread([0.3, 0.3, 0.3, 0.9], 0.1, lambda one, other: columns[one] == columns[other])
    assert places == pytest.approx([0.3, 0.3, 0.4, 0.9])


def timed_of(name: str, recall: float, microseconds: float, kilobytes: float) -> dict[str, Any]:
    """Build a fictitious result of convert/benchmark.py for one file."""
    cost = {"microseconds": {"p50": microseconds}, "file_bytes": 1000 * kilobytes}
    return {"name": name, "recall@10": recall, **cost}


def draw_plots(encoders: Sequence[str], lengths: Sequence[int], spread: float) -> list[Figure]:
    """Draw both plots of a fictitious sweep whose points are spread over the given range."""
    rng = np.random.default_rng(0)
    cells = {
        Path(f"{encoder}-{length}"): summary_of(encoder, length, 0.2 + spread * rng.random())
        for encoder in encoders
        for length in lengths
    }
    timed = [
        timed_of(
            str(model),
            each.test.means["recall@10"],
            20 + 20 * spread * rng.random() * each.protocol.history_length,
            160 + 100 * spread * rng.random(),
        )
        for model, each in cells.items()
    ]
    timed += [
        timed_of("recommendation_bow_i10o100", 0.01, 32.0, 512.0),
        timed_of("one_of_those_names_that_say_every_setting_there_is", 0.012, 40.0, 521.0),
    ]
    summaries = list(cells.values())
    return [draw_quality(summaries[0], make_rows(summaries)), draw_frontier(cells, timed)]


def visible_texts(figure: Figure) -> list[Text]:
    """Return all texts of a figure, without tick labels outside the axes."""
    texts = [*figure.texts, *figure.legends[0].get_texts()] if figure.legends else [*figure.texts]
    for axes in figure.axes:
        texts += axes.texts
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            numbers = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            texts += [axis.label, *(each for place, each in numbers if low <= place <= high)]
    return texts


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return all pairs of texts whose rendered bounding boxes overlap."""
    figure.savefig(io.BytesIO(), format="png")
    boxes = [(each.get_text(), Text.get_window_extent(each)) for each in visible_texts(figure)]
    return [
        (one, other)
        for (one, first), (other, second) in combinations(boxes, 2)
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
    for figure in draw_plots(encoders, lengths, spread):
        assert overlaps(figure) == []
    quality, frontier = draw_plots(encoders, lengths, spread)
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


def test_exports_are_timed_and_plotted(runs, models, tmp_path):
    directories = [RunDirectory(runs[encoder]) for encoder in ENCODERS]
    cells = {each.model_file: each.summary() for each in directories}
    assert list(cells) == [models[encoder] for encoder in ENCODERS]
    latency = time_exports(SweepFlags(), [*cells, tmp_path / "not-converted.tflite"], tmp_path)
    assert latency is not None
    timed = read_json(latency)
    assert [each["name"] for each in timed] == [str(models[encoder]) for encoder in ENCODERS]
    for each, model in zip(timed, cells, strict=True):
        assert each["file_bytes"] == model.stat().st_size
        assert 0 < each["microseconds"]["p50"] <= each["microseconds"]["p99"]
        card = read_json(model.with_name("model.json"))
        assert each["recall@10"] == card["evaluation"]["recall@10 through the file"]
    write_report(tmp_path, cells, latency)
    assert (tmp_path / "frontier.png").stat().st_size > 10_000


def test_an_existing_export_is_reused(runs, models, tmp_path):
    run_dir = tmp_path / "bow"
    shutil.copytree(runs["bow"], run_dir)
    cell = Cell(RunDirectory(run_dir), [], Config())
    assert export_cell(cell) is None
    assert not run_dir.with_suffix(".log").exists()
    shutil.rmtree(run_dir / "export")
    (run_dir / "heldout.npz").write_bytes(b"damaged")
    failure = export_cell(cell)
    assert failure is not None and "heldout.npz is damaged" in failure
