"""The study that trades recall for churn."""

import polars as pl
import pytest

from experiments.studies.warm_starts.warm_starts import main
from jaxrec.runs.directory import RunDirectory

FLAGS = ["--synthetic.users=150", "--synthetic.items=60", "--encoder=bow", "--embedding-dim=8"]


@pytest.mark.slow
def test_it_trains_on_both_logs_and_continues(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [*FLAGS, "--epochs=3", "--weights=0,80", "--share=0.9", "--out=study"]
    assert main(flags) == 0
    rows = capsys.readouterr().out.splitlines()[-6:]
    labels = [
        "scratch",
        "scratch, another seed",
        "scratch, taught",
        "warm, taught with 0",
        "warm, taught with 0.8",
    ]
    assert [row[: len(label)] for row, label in zip(rows[1:], labels, strict=True)] == labels
    assert "[" not in rows[1] and all("[" in row for row in rows[2:])
    older, newer = (pl.read_parquet(f"study/{name}.parquet") for name in ("older", "newer"))
    assert older.height == int(0.9 * newer.height)
    times = newer["timestamp"].sort().to_list()
    assert older["timestamp"].sort().to_list() == times[: older.height]
    config = RunDirectory(tmp_path / "study" / "warm-0.8").config().train
    assert (config.from_run, config.teacher_weight) == ("study/older", 0.8)
    summaries = sorted(tmp_path.glob("study/*/summary.json"))
    assert len(summaries) == 6
    modified = [path.stat().st_mtime_ns for path in summaries]
    assert main(flags) == 0
    assert capsys.readouterr().out.splitlines()[-6:] == rows
    assert modified == [path.stat().st_mtime_ns for path in summaries]


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--share=1"], "--share=1"), (["--weights=a"], "--weights"), (["--epochs=0"], "--epochs=0")],
)
def test_an_invalid_flag_is_one_line_and_no_run(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    assert main([*FLAGS, *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())
