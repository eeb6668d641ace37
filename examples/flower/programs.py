"""Run Flower's SuperLink and SuperNodes during a block, and other programs to their end."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxrec.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

# Timeout of one program, in seconds.
PATIENCE = 300

CONNECTION = """[superlink]
default = "here"

[superlink.here]
address = "127.0.0.1:{port}"
insecure = true
"""
# Ray reserves two CPUs for each client by default.
SIMULATION = "--federation-config=num-supernodes=2 client-resources-num-cpus=1"
# No telemetry and no update checks.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Place:
    """The paths of one check.

    Attributes:
        folder: the temporary folder.
        tools: the folder with the programs of Flower's environment.
    """

    folder: Path
    tools: Path

    @property
    def run(self) -> Path:
        """Return the directory of the run that is continued."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """Return the folder with the log of each device."""
        return self.folder / "logs"

    @property
    def home(self) -> Path:
        """Return Flower's folder, which replaces one in the user's home."""
        return self.folder / "flwr"

    @property
    def ray(self) -> Path:
        """Return Ray's folder."""
        return self.folder / "ray"

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables of Flower's programs."""
        folders = {"FLWR_HOME": str(self.home), "RAY_TMPDIR": str(self.ray)}
        path = f"{self.tools}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **QUIET, **folders, "PATH": path}


@contextlib.contextmanager
def simulation(place: Place) -> Iterator[list[str]]:
    """Run a SuperLink that simulates two devices, and yield the flags for `flwr run`."""
    (port,) = free_ports(1)
    with superlink(place, port, "--simulation"):
        yield [SIMULATION]


@contextlib.contextmanager
def processes(place: Place) -> Iterator[list[str]]:
    """Run a SuperLink and two SuperNodes, each with its own log alone, and yield no flags."""
    port, fleet, *own = free_ports(4)
    address = f"127.0.0.1:{fleet}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(superlink(place, port, f"--fleet-api-address={address}"))
        for number, api in enumerate(own):
            node = f'partition-id={number} log="{place.logs / f"{number}.csv"}"'
            words = ["flower-supernode", "--insecure", "--grpc-rere", f"--superlink={address}"]
            words += ["--host=127.0.0.1", f"--port={api}", f"--node-config={node}"]
            stack.enter_context(running(place, words, f"supernode-{number}.txt"))
        yield []


@contextlib.contextmanager
def superlink(place: Place, port: int, *more: str) -> Iterator[None]:
    """Run a SuperLink on 127.0.0.1, and configure it for `flwr run`."""
    (place.home / "config.toml").write_text(CONNECTION.format(port=port))
    words = ["flower-superlink", "--insecure", "--host=127.0.0.1", f"--port={port}"]
    # The dependencies are installed, and Flower would install them again for each run.
    words += ["--disable-runtime-dependency-installation", *more]
    with running(place, words, "superlink.txt") as process:
        wait_until_open(port, process, place.folder / "superlink.txt")
        yield


@contextlib.contextmanager
def running(place: Place, words: Sequence[str], log: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program during the block, and then end it with all processes that it has started."""
    with (place.folder / log).open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=place.variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C then reaches only this command, which ends the programs in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Terminate a program, and then kill all that it has started, in other sessions too."""
    below = descendants(process.pid)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started, directly or indirectly."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    found = [pid]
    # The list grows during the loop, which so visits all generations.
    for above in found:
        found += [child for child, parent in pairs if parent == above]
    return found[1:]


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a program listens on a port.

    Raises:
        UserError: the program ended, or took too long.
    """
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise UserError(f"the SuperLink did not start: {reason_in(log)}")


def free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def call(
    words: Sequence[str],
    log: Path,
    *,
    variables: Mapping[str, str] | None = None,
    seconds: float = PATIENCE,
) -> None:
    """Run a program to its end, with its output in a log.

    Raises:
        UserError: the program failed or took too long; the message has the reason in its log.
    """
    with log.open("wb") as file:
        try:
            subprocess.run(
                words,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            reason = f"ended with {error.returncode}"
        except subprocess.TimeoutExpired:
            reason = f"took longer than {seconds:g} s"
        else:
            return
    raise UserError(f"`{shlex.join(words)}` {reason}: {reason_in(log)}")


def reason_in(log: Path) -> str:
    """Return the reason of a failure from a log: its last error, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line] or ["it printed nothing"]
    return next(
        (each for each in reversed(lines) if re.match(r"(\w+\.)*\w*[Ee]rror: ", each)), lines[-1]
    )
