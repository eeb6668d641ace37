"""The command `backtest`: its errors and its help."""

import pytest

from jaxrec.cli.backtest import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--every=week"], "--every=week is not a duration; give hours, days or weeks"),
        (["--weeks=1"], "--weeks=1 is out of range; give 2 to 1000"),
        (["--until=soon"], "--until=soon is no time"),
        (["--weeks=500"], "nothing precedes the first of 500 periods of 7d"),
        (["--until=2031-01-01", "--weeks=2"], "2 of 2 periods have no targets: 2030-12-18 to"),
        (["--split=temporal"], "--split=temporal is set by the backtest; omit it"),
        (["--from_run=runs/a"], "--from-run=runs/a is set by the backtest; omit it"),
        (["--epoch=3"], "did you mean --epochs?"),
        (["--encoder=bow", "--transformer.blocks=1"], "needs --encoder=transformer"),
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(folder, capsys, flags, message):
    assert main(["--synthetic.users=20", "--synthetic.items=20", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "flags", "message"),
    [
        ("a,x,0 a,y,1 b,x,0 b,y,1", [], "those of the log, from 0 to 1, may be positions"),
        ("a,x,0 a,y,1 b,x,0 b,y,1", ["--log.time=none"], "says that the log has none"),
        (
            "a,x,2024-05-01 a,y,2024-05-01 b,x,2024-06-01 b,y,2024-06-01",
            [],
            "all activities of each user have the same time",
        ),
    ],
)
def test_logs_without_true_times_are_refused(folder, capsys, rows, flags, message):
    (folder / "log.csv").write_text("\n".join(["user,item,timestamp", *rows.split()]) + "\n")
    assert main(["--dataset=log.csv", "--every=1d", "--weeks=2", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "runs").exists()


def test_a_folder_with_other_files_is_not_touched(folder, capsys):
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    assert main(["--backtest-dir=mine", "--overwrite"]) == 2
    assert "contains other files and no backtest" in capsys.readouterr().err
    assert (folder / "mine" / "notes.txt").read_text() == "mine"


def test_help_teaches(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--every" in text and "--until" in text and "how often" in text
    assert len(text.splitlines()) <= 50
