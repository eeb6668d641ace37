"""Run the same rounds with federate.py and with Flower, and compare the resulting parameters.

    python examples/flower/check.py
    python examples/flower/check.py --environment=.venv-flower

Flower runs in an environment of its own, which is created first: in its simulation with two
clients, and as a SuperLink and two SuperNodes, processes that communicate by gRPC on 127.0.0.1. The
exit code is 1 if a parameter differs by more than rounding. The server rejects an answer with more
than an update and counts, so that a device that sends more fails here too. All files, those of
Flower included, are in a temporary folder.
"""

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from programs import ROOT, Place, call, processes, reason_in, simulation

from jaxrec.cli.command_line import command
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.step import name_of

HERE = Path(__file__).resolve().parent

# Largest allowed difference, relative to the largest number of an array.
ROUNDING = 1e-5
# Timeout of the installation, which downloads half a gigabyte, in seconds.
PATIENCE_TO_INSTALL = 1800

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


@dataclass(frozen=True)
class CheckFlags:
    """Where the environment is."""

    environment: Path | None = None
    """folder of Flower's environment, for reuse; default: a temporary folder"""


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
