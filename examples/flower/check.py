"""Run the same rounds with federate.py and with Flower, and compare the resulting parameters.

    python examples/flower/check.py
    python examples/flower/check.py --environment=.venv-flower

Flower runs in an environment of its own, which is created first: in its simulation with two
clients, and as a SuperLink and two SuperNodes, processes that communicate by gRPC on 127.0.0.1. The
exit code is 1 if a parameter differs by more than rounding. The server rejects an answer with more
than an update and counts, so that a device that sends more fails here too. All files, those of
Flower included, are in a temporary folder.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxrec.cli.command_line import command
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.step import name_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Largest allowed difference, relative to the largest number of an array.
ROUNDING = 1e-5
# Timeouts of one program, in seconds; an installation downloads half a gigabyte.
PATIENCE, PATIENCE_TO_INSTALL = 300, 1800

SMALL_RUN = (
    "--synthetic.users=200 --synthetic.items=100 --encoder=bow --embedding-dim=16 "
    "--hidden-units=16 --epochs=1"
)
ACTIVITIES = 12
# Two users, who take part with probability 1. A second round tests the noise and Adam's state.
CASES: dict[str, dict[str, Any]] = {
    "plain": {"rounds": 1, "clients": 2, "seed": 3},
    "noisy": {
        "rounds": 2,
        "clients": 2,
        "seed": 3,
        "clip-norm": 0.05,
        "noise-multiplier": 0.5,
        "server-optimizer": "fedadam",
        "server-learning-rate": 0.003,
    },
}

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
class CheckFlags:
    """Where the environment is."""

    environment: Path | None = None
    """folder of Flower's environment, for reuse; default: a temporary folder"""


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


def run(flags: CheckFlags) -> None:
    """Run the rounds by federate.py and by Flower, and compare the parameters.

    Raises:
        UserError: a program failed.
        FailedCheckError: the parameters differ.
    """
    # Ray's sockets are below this folder, and the length of their paths is limited.
    with tempfile.TemporaryDirectory(prefix="jaxrec") as name:
        folder = Path(name)
        environment = (flags.environment or folder / "environment").absolute()
        make_environment(environment, folder)
        place = Place(folder, environment / "bin")
        for each in (place.home, place.ray):
            each.mkdir()
        train = [sys.executable, "experiments/run.py", *shlex.split(SMALL_RUN)]
        call([*train, f"--run-dir={place.run}"], folder / "train.txt")
        write_logs(place)
        worst = 0.0
        for case, settings in CASES.items():
            before = time.perf_counter()
            ours = by_federate(place, case, settings)
            print(f"{case}: federate.py, {time.perf_counter() - before:.0f} s", flush=True)
            for engine, serve in (("simulation", simulation), ("gRPC", processes)):
                before = time.perf_counter()
                with serve(place) as more:
                    theirs = by_flower(place, f"{case}-{engine}", settings, more)
                seconds, apart = time.perf_counter() - before, difference(ours, theirs)
                worst = max(worst, apart)
                print(f"{case}: {engine}, {seconds:.0f} s, differs by {apart:.1e}", flush=True)
    if not worst <= ROUNDING:
        raise FailedCheckError(
            f"a parameter differs by {worst:.1e} of the largest of its array, and rounding alone "
            f"by less than {ROUNDING:.0e}"
        )
    print("the rounds of Flower and of federate.py are equal")


def make_environment(environment: Path, folder: Path) -> None:
    """Create Flower's environment, with this checkout installed in it."""
    before = time.perf_counter()
    call([sys.executable, "-m", "venv", str(environment)], folder / "venv.txt")
    install = [str(environment / "bin" / "python"), "-m", "pip", "install"]
    install += ["--disable-pip-version-check", "-r", str(HERE / "requirements.txt")]
    install += ["-e", f"{ROOT}[federated]"]
    call(install, folder / "install.txt", seconds=PATIENCE_TO_INSTALL)
    print(f"environment: {time.perf_counter() - before:.0f} s", flush=True)


def write_logs(place: Place) -> None:
    """Write one log of both users for federate.py, and a log of each user for its device."""
    items = RunDirectory(place.run).vocabulary().values.to_list()
    rng = np.random.default_rng(0)
    logs = [
        [f"{user},{items[each]},{time}" for time, each in enumerate(chosen, start=1_700_000_000)]
        for user, chosen in enumerate(rng.permutation(len(items))[: 2 * ACTIVITIES].reshape(2, -1))
    ]
    place.logs.mkdir()
    for name, rows in {"logs/0": logs[0], "logs/1": logs[1], "both": logs[0] + logs[1]}.items():
        text = "\n".join(["user,item,timestamp", *rows])
        (place.folder / f"{name}.csv").write_text(f"{text}\n")


def by_federate(place: Place, case: str, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Run the rounds of a case by federate.py, and return the parameters."""
    out = place.folder / case
    flags = {"run-dir": place.run, "dataset": place.folder / "both.csv", "out": out, **settings}
    words = [f"--{name}={value}" for name, value in flags.items()]
    call([sys.executable, "experiments/federate.py", *words], place.folder / "federate.txt")
    return parameters(out)


def by_flower(
    place: Place, case: str, settings: Mapping[str, Any], more: Sequence[str]
) -> dict[str, np.ndarray]:
    """Run the rounds of a case by the running SuperLink, and return the parameters.

    Args:
        more: additional flags of `flwr run`.

    Raises:
        UserError: no run was written.
    """
    out, log = place.folder / case, place.folder / "flwr.txt"
    paths = {"run-dir": place.run, "out": out, "logs": place.logs}
    given = {**settings, **{name: str(path) for name, path in paths.items()}}
    # Numbers and strings in JSON are valid TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    config = place.folder / "settings.toml"
    config.write_text("\n".join(lines))
    words = ["flwr", "run", str(HERE), "here", "--stream", f"--run-config={config}", *more]
    call(words, log, variables=place.variables)
    if not RunDirectory(out).is_finished:
        raise UserError(f"`{shlex.join(words)}` wrote no run: {reason_in(log)}")
    return parameters(out)


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


def parameters(run: Path) -> dict[str, np.ndarray]:
    """Read the parameters of a run, by name."""
    source = RunDirectory(run)
    model = read_model(source.checkpoints, source.schema(), source.config().model)
    params = nnx.state(model, nnx.Param)
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)}


def difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of a number, relative to the largest of its array.

    It is infinite if names or shapes differ, or if a number of `theirs` is not finite.
    """
    if {name: array.shape for name, array in ours.items()} != {
        name: array.shape for name, array in theirs.items() if np.isfinite(array).all()
    }:
        return float("inf")
    return max(
        float(np.abs(array - theirs[name]).max() / max(np.abs(array).max(), 1e-30))
        for name, array in ours.items()
    )


main = command(
    run,
    remedy="free disk space or change permissions, or set TMPDIR",
    interrupted="all processes were stopped",
)

if __name__ == "__main__":
    sys.exit(main())
