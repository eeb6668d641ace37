"""The speed comparison with other libraries, which a stub replaces here."""

import sys
from pathlib import Path

import pytest

from experiments.studies.other_libraries.other_libraries import main

FLAGS = ["--synthetic.users=60", "--synthetic.items=30", "--repeats=1", "--first-users=40"]


def write_stub(folder: Path, code: str) -> str:
    """Write a stub with the arguments of `train_epoch.py` and return the flag that selects it."""
    program = folder / "python"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nscript, name, log, length = sys.argv[1:]\n{code}\n"
    )
    program.chmod(0o755)
    return f"--python={program}"


@pytest.mark.slow
def test_each_model_is_compared_with_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = """
users = {row.split(",")[0] for row in open(log).read().splitlines()[1:]}
assert open(log).readline() == "user,item,timestamp\\n" and len(users) == 40
print("chatter")
print('{"targets": 10, "seconds": 1000}')"""
    assert main([*FLAGS, write_stub(tmp_path, code)]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == [
        "recbole-gru4rec",
        "recbole-sasrec",
        "rectools-sasrec",
    ]
    for row in rows:
        speed, ratio = float(row.split()[4].replace(",", "")), float(row.split()[5])
        assert ratio == pytest.approx(speed / 0.01, rel=0.01)


def test_a_library_that_fails_is_named(tmp_path, capsys):
    assert main([*FLAGS, write_stub(tmp_path, "sys.exit('out of memory')")]) == 1
    assert "recbole-gru4rec failed: out of memory" in capsys.readouterr().err


def test_a_missing_python_is_one_line(tmp_path, capsys):
    assert main([*FLAGS, f"--python={tmp_path / 'python'}"]) == 2
    error = capsys.readouterr().err
    assert "does not exist" in error and error.count("\n") == 1
