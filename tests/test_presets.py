"""Presets: all of them are settings that run.py knows, and one command trains them."""

import pytest

from experiments import presets
from jaxrec.cli import train as one_run
from jaxrec.cli.command_line import parse
from jaxrec.runs.directory import RunDirectory

TINY = [
    *("--dataset=synthetic", "--synthetic.users=60", "--synthetic.items=30"),
    *("--embedding-dim=4", "--hidden-units=4", "--batch-size=16", "--epochs=1"),
]


def test_the_list_names_every_preset_with_its_figures_and_flags(capsys):
    assert presets.main([]) == 0
    said = capsys.readouterr().out
    for log in presets.LOGS.values():
        for preset in log.presets:
            assert parse(one_run.RunFlags, [*log.flags.split(), *preset.flags.split()])
            (row,) = [line for line in said.splitlines() if line.startswith(f"{preset.name} ")]
            assert f"{preset.recall:.4f}" in row
            taught = f", taught by {preset.teacher}" if preset.teacher else ""
            assert row.endswith(f"  {preset.flags}{taught}")


def test_what_is_finished_is_kept_and_a_flag_of_the_person_outdoes_the_preset(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command = ["--train=cnn-n10", *TINY]
    assert presets.main(command) == 0
    run_dir = tmp_path / "runs" / "presets" / "cnn-n10"
    config = RunDirectory(run_dir).config()
    assert (config.model.encoder, config.model.hidden_units) == ("cnn", 4)
    assert (config.model.dropout, config.train.epochs) == (0.3, 1)
    assert RunDirectory(run_dir).summary().protocol.dataset == "synthetic"
    before = (run_dir / "summary.json").stat().st_mtime_ns
    capsys.readouterr()
    assert presets.main(command) == 0
    assert "is finished" in capsys.readouterr().out
    assert (run_dir / "summary.json").stat().st_mtime_ns == before


def test_a_data_set_names_all_of_its_presets(tmp_path):
    for name, log in presets.LOGS.items():
        assert [preset for preset, _ in presets.choose(name, tmp_path)] == list(log.presets)


def test_who_is_taught_comes_after_the_teacher(tmp_path):
    for log in presets.LOGS.values():
        for preset in log.presets:
            chosen = presets.choose(preset.name, tmp_path)
            assert [each.name for each, _ in chosen] == [
                *filter(None, [preset.teacher]),
                preset.name,
            ]
            wanted = [f"--teacher={tmp_path / preset.teacher}"] if preset.teacher else []
            assert [word for word in chosen[-1][1] if word.startswith("--teacher")] == wanted


def test_a_preset_is_taught_by_one_that_was_just_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert presets.main(["--train=small-transformer", *TINY]) == 0
    runs = tmp_path / "runs" / "presets"
    assert {path.name for path in runs.iterdir()} == {"rnn-n10", "small-transformer"}
    assert RunDirectory(runs / "small-transformer").config().train.teacher == str(
        (runs / "rnn-n10").relative_to(tmp_path)
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train=rnn-n10,transformer"], "has 'transformer'; give some of "),
        (["--train=rnn-n10", "--epochs=0"], "--epochs=0 is out of range"),
        (["--train=rnn-n10", "--speed=9"], "--speed"),
        (["--train=beauty"], "give --dataset=FILE, a log of user, item, timestamp"),
    ],
)
def test_a_wrong_flag_is_one_line_and_nothing_is_trained(
    tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    assert presets.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
