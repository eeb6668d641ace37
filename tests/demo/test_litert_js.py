"""LiteRT.js: installed by the lock file."""

import json
import shutil
import subprocess

import pytest

from demo import litert_js, npm
from demo.litert_js import BUILDS, HOME, install_packages, runtime_files
from jaxrec.errors import UserError
from tests import ROOT


def test_the_files_of_the_runtime():
    files = runtime_files()
    assert set(files) == {
        *(f"{build}.{ending}" for build in BUILDS for ending in ("js", "wasm")),
        "NOTICE.txt",
    }
    assert all(files[f"{build}.wasm"].startswith(b"\0asm") for build in BUILDS)
    version = json.loads((HOME / "package.json").read_text())["dependencies"]["@litertjs/core"]
    assert f"LiteRT.js {version}, unchanged" in files["NOTICE.txt"].decode()
    # The version that the package was tested with.
    package = json.loads((ROOT / "clients" / "web" / "package.json").read_text())
    assert package["peerDependencies"]["@litertjs/core"] == version


@pytest.mark.parametrize("folder", ["demo", "clients/web"])
def test_versions_are_exact_and_the_lock_file_has_hashes_without_addresses(folder):
    package = json.loads((ROOT / folder / "package.json").read_text())
    for version in (package.get("dependencies", {}) | package["devDependencies"]).values():
        assert version.replace(".", "").isdigit()
    text = (ROOT / folder / "package-lock.json").read_text()
    assert '"resolved"' not in text and "://" not in text
    packages = json.loads(text)["packages"]
    assert all(each["integrity"].startswith("sha512-") for name, each in packages.items() if name)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return a demo folder without installed packages."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HOME / name, tmp_path / name)
    monkeypatch.setattr(litert_js, "HOME", tmp_path)
    monkeypatch.setattr(litert_js, "_LOCK", tmp_path / "package-lock.json")
    monkeypatch.setattr(litert_js, "_MODULES", tmp_path / "node_modules")
    return tmp_path


@pytest.fixture
def calls(home, monkeypatch) -> list[tuple[str, ...]]:
    """Replace npm by a stub that succeeds, and return the list of its calls."""
    calls = []

    def run(*words, **_):
        calls.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(npm, "run", run)
    return calls


def write_record(home, without: str | None = None) -> None:
    """Write the record of installed packages that npm leaves at its end."""
    record = json.loads((home / "package-lock.json").read_text())
    record["packages"].pop(without, None)
    (home / "node_modules").mkdir(exist_ok=True)
    (home / "node_modules" / ".package-lock.json").write_text(json.dumps(record))


def test_an_interrupted_installation_is_repeated(home, calls):
    install_packages()
    (home / "node_modules").mkdir()
    install_packages()
    write_record(home, without="node_modules/@litertjs/core")
    install_packages()
    assert calls == [("ci", "--omit=dev")] * 3
    write_record(home)
    install_packages()
    assert len(calls) == 3


def test_tools_are_installed_only_on_request(home, calls):
    write_record(home, without="node_modules/axe-core")
    install_packages()
    assert calls == []
    install_packages(tools=True)
    assert calls == [("ci",)]
    # A tool has one package per platform; those of other platforms are never installed.
    write_record(home, without="node_modules/@biomejs/cli-win32-x64")
    install_packages(tools=True)
    assert len(calls) == 1


def test_a_failure_of_npm_is_one_line(home, monkeypatch):
    (home / "package-lock.json").write_text(
        (HOME / "package-lock.json").read_text().replace("sha512-", "sha512-AAAA")
    )
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(home / "cache"))
    with pytest.raises(UserError, match=r"npm cannot install .*needs a network") as error:
        install_packages()
    assert "\n" not in str(error.value)


def test_no_installed_file_is_in_the_repository():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "node_modules" not in listed and ".wasm" not in listed
