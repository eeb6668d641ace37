"""The ARM64 system that files are verified in: QEMU, and Debian's Python with NumPy and LiteRT.

Nothing is installed and no privilege is needed: apt resolves, downloads and verifies the packages
with its state in a temporary folder, and dpkg unpacks them into the user's cache.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs

from jaxrec.errors import UserError

_PYTHON = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_QEMU = "qemu-user-static"
# Newer Debian packages have the emulator under the second name.
_QEMU_NAMES = ("qemu-aarch64-static", "qemu-aarch64")
# Debian 12 has version 2.36 of the C library.
_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)]


@dataclass(frozen=True)
class Sysroot:
    """An ARM64 system on disk.

    Attributes:
        qemu: the emulator.
        root: folder with the top-level folders of the system, such as usr.
        python: name of the Python interpreter in usr/bin.
        packages: folder of LiteRT, in the version that is installed here, and of NumPy.
    """

    qemu: Path
    root: Path
    python: str
    packages: Path


def prepare_sysroot() -> Sysroot:
    """Return the ARM64 system, which the first call downloads to the user's cache.

    A QEMU that is installed is used; without one, Debian's is unpacked.

    Raises:
        UserError: if a program, the network or a package is missing.
    """
    cache = Path(platformdirs.user_cache_dir("jaxrec")) / "arm64"
    release = "-".join(_release().get(name, "") for name in ("ID", "VERSION_ID"))
    root = _cached(
        cache / release, lambda folder: _unpack_packages("arm64", _PYTHON, folder), "Debian"
    )
    python = (root / "usr" / "bin" / "python3").readlink().name
    digits = python.removeprefix("python").replace(".", "")
    numpy, litert = map(version, ("numpy", "ai-edge-litert"))
    # The NumPy that is installed here may have no wheel for Debian's Python, which may be older.
    wheels = [f"numpy<={numpy}", f"ai-edge-litert=={litert}"]
    packages = _cached(
        cache / f"numpy-{numpy}-ai-edge-litert-{litert}-cp{digits}",
        lambda folder: _unpack_wheels(wheels, digits, folder),
        "Python",
    )
    return Sysroot(_find_qemu(cache / f"{release}-qemu"), root, python, packages)


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _find_qemu(folder: Path) -> Path:
    installed = filter(None, map(shutil.which, _QEMU_NAMES))
    found = next(installed, None)
    if found is not None:
        return Path(found)
    host = platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64")
    _cached(folder, lambda fresh: _unpack_packages(host, [_QEMU], fresh), "QEMU")
    paths = [folder / "usr" / "bin" / name for name in _QEMU_NAMES]
    return next(path for path in paths if path.exists())


def _cached(folder: Path, build: Callable[[Path], None], name: str) -> Path:
    """Return a folder; if it does not exist, build it under another name first."""
    if folder.is_dir():
        return folder
    print(f"downloading {name} for ARM64 to {folder}", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh = Path(temporary) / folder.name
        fresh.mkdir()
        build(fresh)
        # Another process may have finished first.
        if not folder.is_dir():
            fresh.rename(folder)
    return folder


def _unpack_packages(architecture: str, names: Sequence[str], folder: Path) -> None:
    """Download packages of an architecture with their dependencies, and unpack them."""
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise UserError(
                f"--platform=arm64 needs {program}, which is not installed, to unpack packages of "
                "Debian; run it on Debian, as in a container"
            )
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        for name in ("lists/partial", "archives/partial"):
            (state / name).mkdir(parents=True)
        # As on a system with no package yet, so that all dependencies are downloaded.
        (state / "status").touch()
        options = {
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Dir::State": temporary,
            "Dir::State::Lists": f"{temporary}/lists",
            "Dir::State::status": f"{temporary}/status",
            "Dir::Cache": temporary,
            "Dir::Cache::archives": f"{temporary}/archives",
        }
        apt = ["apt-get", "--quiet", *(f"-o{name}={value}" for name, value in options.items())]
        packages = f"cannot download {names[0]} ({architecture}) with apt-get"
        remedy = "check the network, and that apt's sources are those of Debian"
        _run([*apt, "update"], packages, remedy)
        _run([*apt, "install", "--yes", "--download-only", *names], packages, remedy)
        for path in sorted((state / "archives").glob("*.deb")):
            unpacked = f"cannot unpack {path.name} to {folder}"
            _run(["dpkg", "--extract", str(path), str(folder)], unpacked, "free disk space")
    # Debian 13 has all libraries in usr.
    for name in ("lib", "bin"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")


def _unpack_wheels(wheels: Sequence[str], python: str, folder: Path) -> None:
    """Download wheels for ARM64 and a version of Python, as 311, and unpack them.

    Args:
        wheels: requirements, as "numpy<=2.4".
    """
    with tempfile.TemporaryDirectory() as temporary:
        _run(
            [
                *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
                *("--implementation=cp", f"--python-version={python}", f"--abi=cp{python}"),
                *(f"--platform={each}" for each in _PLATFORMS),
                *(f"--dest={temporary}", *wheels),
            ],
            f"cannot download {' and '.join(wheels)} for ARM64 with pip",
            "check the network, and that pip is installed",
        )
        for path in Path(temporary).glob("*.whl"):
            with zipfile.ZipFile(path) as wheel:
                wheel.extractall(folder)


def _run(words: Sequence[str], what: str, remedy: str) -> None:
    """Run a program.

    Raises:
        UserError: if it fails; the message has the first of its errors.
    """
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = [*map(str.strip, done.stderr.splitlines()), "it printed nothing"]
        error = next((each for each in lines if each.lower().startswith("e")), lines[0])
        raise UserError(f"{what} ({error}); {remedy}")
