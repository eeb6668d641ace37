"""Do the same rounds by federate.py and by Flower, and compare the parameters that come out.

    python examples/flower/check.py
    python examples/flower/check.py --environment=.venv-flower

Flower runs in an environment of its own, which is made first: in its simulation with two clients,
and as a SuperLink and two SuperNodes, processes that speak gRPC on 127.0.0.1. Exits with 1 if a
parameter differs by more than rounding. The server leaves out an answer that holds more than an
update and counts, so that a device which sends more fails here too. What this writes lies in a
temporary folder, and so do Flower's own files.
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

# Of the largest number of an array.
ROUNDING = 1e-5
# For one program, in seconds; an installation downloads half a gigabyte.
PATIENCE, PATIENCE_TO_INSTALL = 300, 1800

SMALL_RUN = (
    "--synthetic.users=200 --synthetic.items=100 --encoder=bow --embedding-dim=16 "
    "--hidden-units=16 --epochs=1"
)
ACTIVITIES = 12
# Two users, who take part with probability 1. Noise and Adam's memory show in a second round.
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
# Ray takes two processors a client unless it is told.
SIMULATION = "--federation-config=num-supernodes=2 client-resources-num-cpus=1"
# Nobody else is told of what is done here.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class CheckFlags:
    """Where the environment is."""

    environment: Path | None = None
    """a folder for Flower's environment, kept for the next time; by default a temporary one"""


@dataclass(frozen=True)
class Place:
    """Where everything of one check lies.

    Attributes:
        folder: temporary.
        tools: the programs of Flower's environment.
    """

    folder: Path
    tools: Path

    @property
    def run(self) -> Path:
        """The run that is continued."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """The folder with the log of each device."""
        return self.folder / "logs"

    @property
    def home(self) -> Path:
        """Flower's folder, instead of one in the user's home."""
        return self.folder / "flwr"

    @property
    def ray(self) -> Path:
        """Ray's folder."""
        return self.folder / "ray"

    @property
    def variables(self) -> dict[str, str]:
        """What Flower's programs are told."""
        folders = {"FLWR_HOME": str(self.home), "RAY_TMPDIR": str(self.ray)}
        path = f"{self.tools}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **QUIET, **folders, "PATH": path}


def run(flags: CheckFlags) -> None:
    """Make, run, compare, print.

    Raises:
        UserError: a program failed.
        FailedCheckError: the parameters differ.
    """
    # Ray's sockets lie below, and their paths must be short.
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
    print("Flower's rounds are those of federate.py")


def make_environment(environment: Path, folder: Path) -> None:
    """Make Flower's environment, with this checkout in it."""
    before = time.perf_counter()
    call([sys.executable, "-m", "venv", str(environment)], folder / "venv.txt")
    install = [str(environment / "bin" / "python"), "-m", "pip", "install"]
    install += ["--disable-pip-version-check", "-r", str(HERE / "requirements.txt")]
    install += ["-e", f"{ROOT}[federated]"]
    call(install, folder / "install.txt", seconds=PATIENCE_TO_INSTALL)
    print(f"environment: {time.perf_counter() - before:.0f} s", flush=True)


def write_logs(place: Place) -> None:
    """Write the log of two users for federate.py, and the log of each for its device."""
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
    """Do the rounds of a case by federate.py, and read the parameters."""
    out = place.folder / case
    flags = {"run-dir": place.run, "dataset": place.folder / "both.csv", "out": out, **settings}
    words = [f"--{name}={value}" for name, value in flags.items()]
    call([sys.executable, "experiments/federate.py", *words], place.folder / "federate.txt")
    return parameters(out)


def by_flower(
    place: Place, case: str, settings: Mapping[str, Any], more: Sequence[str]
) -> dict[str, np.ndarray]:
    """Do the rounds of a case by the SuperLink that is there, and read the parameters.

    Args:
        more: flags for `flwr run`.

    Raises:
        UserError: nothing came out.
    """
    out, log = place.folder / case, place.folder / "flwr.txt"
    paths = {"run-dir": place.run, "out": out, "logs": place.logs}
    given = {**settings, **{name: str(path) for name, path in paths.items()}}
    # What JSON writes of numbers and text is TOML too.
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
    """Let a SuperLink simulate two devices until the end of the block; give flags for runs."""
    (port,) = free_ports(1)
    with superlink(place, port, "--simulation"):
        yield [SIMULATION]


@contextlib.contextmanager
def processes(place: Place) -> Iterator[list[str]]:
    """Run a SuperLink and two devices, which know their own logs alone; runs need no flags."""
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
    """Run a SuperLink on 127.0.0.1, and tell `flwr run` of it."""
    (place.home / "config.toml").write_text(CONNECTION.format(port=port))
    words = ["flower-superlink", "--insecure", "--host=127.0.0.1", f"--port={port}"]
    # Everything is installed, and Flower would install it again for each run.
    words += ["--disable-runtime-dependency-installation", *more]
    with running(place, words, "superlink.txt") as process:
        wait_until_open(port, process, place.folder / "superlink.txt")
        yield


@contextlib.contextmanager
def running(place: Place, words: Sequence[str], log: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block, and end it with all that it has started."""
    with (place.folder / log).open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=place.variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for this command, which then ends them in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program gently, and then for good whatever it has started, in other sessions too."""
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
    """List the processes that a process has started, and those that they have."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    found = [pid]
    for above in found:
        found += [child for child, parent in pairs if parent == above]
    return found[1:]


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something listens.

    Raises:
        UserError: the program ended, or took too long.
    """
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise UserError(f"the SuperLink did not begin: {reason_in(log)}")


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that nobody listens on."""
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
    """Run a program to its end.

    Raises:
        UserError: it failed or took too long; with the last line that it said.
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
    """Find what went wrong in what a program said: its last error, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line] or ["it said nothing"]
    return next(
        (each for each in reversed(lines) if re.match(r"(\w+\.)*\w*[Ee]rror: ", each)), lines[-1]
    )


def parameters(run: Path) -> dict[str, np.ndarray]:
    """Read the parameters of a run by their names."""
    source = RunDirectory(run)
    model = read_model(source.checkpoints, source.schema(), source.config().model)
    params = nnx.state(model, nnx.Param)
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)}


def difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """Give the largest difference of a number, as a part of the largest of its array.

    It is infinite where names, shapes or finite numbers are missing.
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
    remedy="free or open the place, or set TMPDIR to another",
    interrupted="what was started has ended",
)

if __name__ == "__main__":
    sys.exit(main())
