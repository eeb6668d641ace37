"""The command `sweep`: cells, reuse of finished runs, failures, tables and plots."""

import shutil

import pytest

from jaxrec.cli.sweep import Cell, SweepFlags, export_cell, main, make_cells, time_exports
from jaxrec.config.experiment import Config
from jaxrec.files import read_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.sweep_report import write_report
from tests.exports import ENCODERS

TINY = [
    *("--synthetic.users=60", "--synthetic.items=30", "--embedding-dim=4", "--hidden-units=4"),
    *("--negatives=8", "--batch-size=16", "--epochs=1"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_failed_cell_does_not_stop_the_sweep_and_is_retried(folder, capsys):
    arguments = ["--encoders=bow", "--history-lengths=4,5", "--sweep-dir=sweep", *TINY]
    (folder / "sweep").mkdir()
    (folder / "sweep" / "bow-n4-seed0").write_text("in the way")
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert "1 of 2 cells failed (bow-n4-seed0: --run-dir=sweep/bow-n4-seed0 is a file" in (
        captured.err
    )
    *progress, _ = captured.err.splitlines()
    assert all(" of 2 cells, " in line for line in progress)
    assert "| bow | 5 | 1 |" in captured.out and "| bow | 4 |" not in captured.out
    kept = folder / "sweep" / "bow-n5-seed0" / "summary.json"
    before = kept.stat().st_mtime_ns

    (folder / "sweep" / "bow-n4-seed0").unlink()
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "| bow | 4 | 1 |" in table and "| bow | 5 | 1 |" in table
    assert kept.stat().st_mtime_ns == before
    assert (folder / "sweep" / "table.md").read_text().strip() == table.strip()
    assert (folder / "sweep" / "quality.png").stat().st_size > 10_000

    assert main([*arguments, "--epochs=2"]) == 2
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
    ("flags", "message"),
    [
        (
            ["--encoders=bow,rnn", "--transformer.blocks=1"],
            "--transformer.blocks=1 needs --encoder=transformer",
        ),
        (
            ["--encoders=transformer", "--hidden-units=10", "--transformer.heads=4"],
            "--hidden-units=10 cannot be divided by --transformer.heads=4",
        ),
        (["--encoders=bow,gru"], "has 'gru'; choose from bow,cnn,rnn,transformer"),
        (["--history-lengths=10,x"], "is not a list of whole numbers"),
        (["--history-lengths=10,5000"], "--history-length=5000 is out of range"),
        (["--seeds="], "is not a list of whole numbers"),
        (["--encoder=bow"], "--encoder is set by the sweep"),
        (["--resume"], "--resume is set by the sweep"),
        (["--epoch=3"], "did you mean --epochs?"),
        (["--epochs=0"], "--epochs=0 is out of range"),
        (
            ["--export", "--against=old=gone.tflite"],
            "gone.tflite is not a file; give --against=FILE",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(folder, capsys, flags, message):
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_help_teaches(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--history-lengths" in text and "those of `jaxrec train`" in text


@pytest.mark.slow
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


@pytest.mark.slow
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
