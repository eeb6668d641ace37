"""Continue a finished run by federated rounds: users are clients, and keep their timelines.

    jaxrec federate --run-dir=runs/synthetic-rnn-n10 --rounds=50 --clients=100

The clients are the users of the run's own log, or of another one, whose items are known by the
run's ids:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv

In a round some clients take a few steps of SGD on their own training targets; validation and test
stay unseen. Each sends by how much its parameters changed, clipped. With noise this guarantees to
each user how little the model tells of them:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv --epsilon=8

What comes out is a run directory like any other, judged on the population before and after.
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
    """What is continued, with whom, and how."""

    run_dir: Path
    """a finished run; it is read and stays as it is"""
    dataset: str | None = None
    """the log of the clients, as `jaxrec train` takes it; by default that of the run"""
    log: LogConfig = field(default_factory=LogConfig)
    federated: Flat[FederatedConfig] = field(default_factory=FederatedConfig)
    out: Path | None = None
    """where the new run is kept; default: the run's directory, with -federated behind its name"""
    resume: bool = False
    """go on with the unfinished run in --out; it ends as if never interrupted"""
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
    remedy="free or open the place, or give another --out; a run that had begun goes on with "
    "--resume",
    interrupted="--resume goes on from the last checkpoint",
    before=enable_compilation_cache,
)
