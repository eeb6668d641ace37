"""LiteRT.js is fetched as the lock file says, and loads without a bundler."""

import json
import re
import shutil
import subprocess

import pytest

from demo import litert_js, npm
from demo.litert_js import BUILDS, HOME, install_packages, runtime_files
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
    assert '"resolved"' not in text
    # Where to thank the authors of the linter; npm writes it down.
    assert set(re.findall(r"://([^/\"]*)", text)) == {"opencollective.com"}
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


@pytest.fixture
def calls(home, monkeypatch) -> list[tuple[str, ...]]:
    """What npm is asked for, which it says it has done."""
    calls = []

    def run(*words, **_):
        calls.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(npm, "run", run)
    return calls


def keep_record(home, without: str | None = None) -> None:
    """Write what npm writes down at the end: what it has installed."""
    record = json.loads((home / "package-lock.json").read_text())
    record["packages"].pop(without, None)
    (home / "node_modules").mkdir(exist_ok=True)
    (home / "node_modules" / ".package-lock.json").write_text(json.dumps(record))


def test_an_installation_that_was_cut_short_is_done_again(home, calls):
    install_packages()
    (home / "node_modules").mkdir()
    install_packages()
    keep_record(home, without="node_modules/@litertjs/core")
    install_packages()
    assert calls == [("ci", "--omit=dev")] * 3
    keep_record(home)
    install_packages()
    assert len(calls) == 3


def test_the_tools_are_fetched_for_who_checks_the_page_alone(home, calls):
    keep_record(home, without="node_modules/axe-core")
    install_packages()
    assert calls == []
    install_packages(tools=True)
    assert calls == [("ci",)]
    # Each system has a package of its own for a tool; those of others are never there.
    keep_record(home, without="node_modules/@biomejs/cli-win32-x64")
    install_packages(tools=True)
    assert len(calls) == 1


def test_npm_that_fails_is_one_line(home, monkeypatch):
    (home / "package-lock.json").write_text(
        (HOME / "package-lock.json").read_text().replace("sha512-", "sha512-AAAA")
    )
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(home / "cache"))
    with pytest.raises(UserError, match=r"npm cannot fetch .*needs a network") as error:
        install_packages()
    assert "\n" not in str(error.value)


def test_nothing_that_was_fetched_is_in_the_repository():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "node_modules" not in listed and ".wasm" not in listed
