"""Emulated ARM64 cores, and files that run on them."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import jaxrec
from jaxrec.conversion.verify import run_signatures
from jaxrec.conversion.verify.sysroot import Sysroot
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.files import read_arrays
from jaxrec.runtime.interpreter import DeviceModel, Inputs


@dataclass(frozen=True)
class Core:
    """A processor core of a phone, as QEMU names it.

    Attributes:
        name: the value of QEMU_CPU.
        part: its implementer and part number in /proc/cpuinfo, by which LiteRT chooses kernels.
    """

    name: str
    part: tuple[int, int]


# NEON alone; dot products of int8; products of int8 matrices and bfloat16.
CORES = (
    Core("cortex-a57", (0x41, 0xD07)),
    Core("cortex-a76", (0x41, 0xD0B)),
    Core("max,sme=off", (0x00, 0x051)),
)
# The outer products of SME are wrong in QEMU 7.2 and right in 10.0.
SME_CORE, SME_SINCE = Core("max", (0x00, 0x051)), 10


def cores_of(sysroot: Sysroot) -> tuple[Core, ...]:
    """Return the cores that the emulator computes correctly."""
    words = [sysroot.qemu, "--version"]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    # qemu-aarch64 version 7.2.22 (Debian ...)
    major = int(found.split("version ")[1].split(".")[0])
    return (*CORES, SME_CORE) if major >= SME_SINCE else CORES


@dataclass(frozen=True, eq=False)
class Emulator:
    """A running process on an emulated core.

    Attributes:
        folder: the files that are exchanged with it.
        process: `run_signatures`.
    """

    core: Core
    folder: Path
    process: subprocess.Popen[str] = field(repr=False)

    def call_all(self, graph: Path, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature of a file on any number of examples.

        Raises:
            FailedCheckError: if the process ends.
        """
        names = [self.folder / name for name in ("inputs.npz", "outputs.npz")]
        np.savez(names[0], **inputs)  # pyright: ignore[reportArgumentType]
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([str(graph), signature, *map(str, names)]) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # reported below
        if self.read_line() != "done":
            raise FailedCheckError(
                f"the file ends LiteRT on {self.core.name} in `{signature}`: {self.last_error()}"
            )
        return read_arrays(names[1])

    def read_line(self) -> str:
        """Read a line of the process, empty at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def last_error(self) -> str:
        """Return the last line that the process wrote to standard error."""
        lines = (self.folder / "errors").read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it printed nothing"


@contextmanager
def start_emulator(sysroot: Sysroot, core: Core) -> Iterator[Emulator]:
    """Start a core, and stop it at the end of the block.

    Raises:
        UserError: if LiteRT cannot be imported on it.
    """
    with tempfile.TemporaryDirectory(prefix="jaxrec-arm64-") as temporary:
        folder = Path(temporary)
        prefix = folder / "root"
        _write_prefix(prefix, sysroot, core)
        modules = folder / "modules"
        modules.mkdir()
        (modules / "jaxrec").symlink_to(Path(jaxrec.__file__).parent.absolute())
        environment = {
            **{name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ},
            "QEMU_CPU": core.name,
            "PYTHONPATH": f"{sysroot.packages}{os.pathsep}{modules}",
            "PYTHONPYCACHEPREFIX": str(sysroot.packages / "compiled"),
        }
        python = prefix / "usr" / "bin" / sysroot.python
        with (
            (folder / "errors").open("w") as errors,
            subprocess.Popen(
                [sysroot.qemu, "-L", prefix, python, "-P", "-s", run_signatures.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            ) as process,
        ):
            try:
                emulator = Emulator(core, folder, process)
                if emulator.read_line() != "ready":
                    raise UserError(
                        f"LiteRT does not start on an emulated {core.name} "
                        f"({emulator.last_error()}); delete {sysroot.root.parent} and try again"
                    )
                yield emulator
            finally:
                process.kill()


def _write_prefix(prefix: Path, sysroot: Sysroot, core: Core) -> None:
    """Write the folder that QEMU searches first for every absolute path.

    LiteRT reads the core, its caches and the number of cores from files of Linux, and chooses
    kernels by them. It must not find those of this machine: the caches of an x86-64 processor crash
    it.
    """
    prefix.mkdir()
    for path in sysroot.root.iterdir():
        (prefix / path.name).symlink_to(path.absolute())
    implementer, part = core.part
    files = {
        "proc/cpuinfo": (
            f"processor\t: 0\nCPU implementer\t: {implementer:#04x}\nCPU architecture: 8\n"
            f"CPU variant\t: 0x1\nCPU part\t: {part:#05x}\nCPU revision\t: 0\n\n"
        ),
        "sys/devices/system/cpu/possible": "0\n",
        "sys/devices/system/cpu/present": "0\n",
        # An empty file is like a missing one.
        **{f"sys/devices/system/cpu/cpu0/cache/index{i}/level": "" for i in range(4)},
    }
    for name, content in files.items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(content)


class EmulatedModel(DeviceModel):
    """A flatbuffer whose signatures run in an emulator; its shapes are read on this machine."""

    def __init__(self, graph: bytes, emulator: Emulator):
        super().__init__(graph)
        self._emulator = emulator
        descriptor, path = tempfile.mkstemp(dir=emulator.folder, suffix=".tflite")
        self._path = Path(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(graph)

    def call(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature on B examples."""
        return self.call_all(signature, inputs)

    def call_all(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a signature on any number of examples."""
        return self._emulator.call_all(self._path, signature, inputs)
