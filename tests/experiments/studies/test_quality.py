"""The study that compares settings over several seeds."""

import json

import pytest

from experiments.studies.quality.quality import difference, main

FLAGS = ["--synthetic.users=120", "--synthetic.items=60", "--encoder=bow", "--embedding-dim=8"]


def test_a_difference_is_paired_by_seed():
    assert difference([0.5, 0.7], [0.4, 0.4]) == "+0.2000 ±0.1000"
    assert difference([0.1], [0.4]) == "-0.3000"


@pytest.mark.slow
def test_it_trains_compares_and_resumes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [*FLAGS, "--epochs=2", "--seeds=3,4", "--change=--dropout=0 --epochs=1"]
    assert main(flags) == 0
    head, given, changed = capsys.readouterr().out.splitlines()[-3:]
    assert head.split()[0] == "recall@10" and "±" in changed and "±" not in given
    assert given.startswith("common flags") and changed.startswith("--dropout=0 --epochs=1")
    summaries = [tmp_path / f"runs/quality/{row}-seed4/summary.json" for row in (0, 1)]
    found = [json.loads(path.read_text())["validation"]["means"] for path in summaries]
    assert found[0] != found[1]
    modified = [path.stat().st_mtime_ns for path in summaries]
    assert main(flags) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [head, given, changed]
    assert modified == [path.stat().st_mtime_ns for path in summaries]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "nothing to compare; give --change=FLAGS"),
        (["--change=--dropot=1"], "--dropot"),
        (["--change=--epochs=0"], "--epochs=0"),
        (["--change=--epochs=2", "--seeds=a"], "--seeds"),
        (["--change=--epochs=2", "--dropot=1"], "--dropot"),
    ],
)
def test_an_invalid_flag_is_one_line_and_no_run(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert main([*FLAGS, *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())
