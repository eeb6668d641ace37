"""Continue a finished run by federated rounds, in which each user is a client.

    jaxrec federate --run-dir=runs/synthetic-rnn-n10 --rounds=50 --clients=100

The clients are the users of the run's own log, or of another log, whose items are encoded by the
run's vocabulary:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv

In each round, some clients take a few steps of SGD on their own training targets; validation and
test targets are not used. Each client sends the clipped change of its parameters. Noise on the sum
of the changes gives each user a differential privacy guarantee:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv --epsilon=8

The result is a run directory like any other, evaluated on the clients' log before and after.
"""

from dataclasses import dataclass, field
from pathlib import Path

from jaxrec.cli.command_line import command
from jaxrec.config.fields import Flat
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.federated.client_log import ClientLog
from jaxrec.federated.federated_run import run_federated_experiment
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.compilation_cache import enable_compilation_cache


@dataclass(frozen=True, kw_only=True)
class FederateFlags:
    """Run to continue, and the log of its clients."""

    run_dir: Path
    """directory of a finished run, which is not changed"""
    dataset: str | None = None
    """log of the clients, as for `jaxrec train`; default: the log of the run"""
    log: LogConfig = field(default_factory=LogConfig)
    federated: Flat[FederatedConfig] = field(default_factory=FederatedConfig)
    out: Path | None = None
    """directory of the new run; default: the run's directory with the suffix -federated"""
    resume: bool = False
    """continue the unfinished run in --out, with the same result as without a break"""
    overwrite: bool = False
    """replace the run in --out"""


def run(flags: FederateFlags) -> None:
    """Run the rounds, and print the figures before and after.

    Raises:
        UserError: an error that the user can fix.
    """
    source = flags.run_dir
    # A path such as `.` or `..` ends in no name that could be extended.
    named = source if source.name.strip(".") else source.resolve()
    run_federated_experiment(
        RunDirectory(source),
        RunDirectory(flags.out or named.with_name(f"{named.name}-federated")),
        ClientLog(flags.dataset, flags.log),
        flags.federated,
        resume=flags.resume,
        overwrite=flags.overwrite,
    )


main = command(
    run,
    remedy="free disk space or change permissions, or give another --out; --resume continues a "
    "run that has begun",
    interrupted="--resume continues from the last checkpoint",
    before=enable_compilation_cache,
)
