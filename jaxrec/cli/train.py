r"""Train a recommender on a log of (user, item, time), and evaluate it.

Without flags, train an LSTM on a small generated log:

    jaxrec train --encoder=rnn

MovieLens 1M, downloaded or in a folder:

    jaxrec train --encoder=rnn --dataset=ml-1m
    jaxrec train --encoder=rnn --dataset=ml-1m --data-dir=FOLDER_WITH_ml-1m

Your own log, with the names of its columns:

    jaxrec train --dataset=log.csv --log.user=customer --log.item=sku \
        --log.time=bought_at --items=products.csv

The run directory (runs/<dataset>-<encoder>-n<N>) has the checkpoints, the metrics in summary.json,
the training curve in curve.png, and everything that `jaxrec export` needs.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxrec.cli.command_line import command
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.fields import setting
from jaxrec.models.model_config import check_encoder
from jaxrec.runs.directory import RunDirectory, default_path
from jaxrec.runs.report import render_table
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec.training.fit import load_dataset, run_experiment
from jaxrec.training.processes import by_leader, initialize
from jaxrec.training.warm_start import known_ids


@dataclass(frozen=True)
class RunFlags(SettingsFlags):
    """Run: its directory, and the devices that train it."""

    run_dir: Path | None = None
    """directory of the run; default: runs/<dataset>-<encoder>-n<N>, or with --config=RECIPE.toml
    runs/RECIPE"""
    resume: bool = False
    """continue the unfinished run in the run directory, with the same result as without a break"""
    overwrite: bool = False
    """replace the run in the run directory"""
    dry_run: bool = False
    """read the log, print its summary and anomalies, and stop"""
    model_shards: int = setting(1, advanced=True)
    """number of devices over which the item tables are sharded, if they do not fit on one; batches
    are split over the copies of the tables"""
    coordinator: str | None = setting(None, advanced=True)
    """train in several processes: HOST:PORT at which process 0 listens; auto: JAX detects it, as
    under Slurm, on Kubernetes and on TPUs"""
    process_id: int | None = setting(None, advanced=True)
    """with --coordinator: the number of this process, from 0"""
    num_processes: int | None = setting(None, advanced=True)
    """with --coordinator: the number of processes"""


def run(flags: RunFlags) -> None:
    """Train and evaluate a run, write its directory and print its table.

    Raises:
        UserError: an error that the user can fix.
    """
    config = flags.settings
    initialize(flags.coordinator, flags.process_id, flags.num_processes)
    check_encoder(config.model)  # reports a mistake before the log is read
    directory = RunDirectory(flags.run_dir or default_path(config, flags.config))
    if flags.dry_run:
        load_dataset(config, known=known_ids(config, directory, overwrite=not flags.resume))
        return
    by_leader(partial(directory.check, config, resume=flags.resume, overwrite=flags.overwrite))
    if flags.resume and directory.is_finished:
        print(f"{directory.path} is finished\n\n{render_table(directory.summary())}")
        return
    summary = run_experiment(
        config, directory, overwrite=flags.overwrite, model_shards=flags.model_shards
    )
    if summary is not None:
        print(f"\n{render_table(summary)}\n\n{directory.summary_file}")


main = command(
    run,
    remedy="free disk space or change permissions, or give another --run-dir; --resume continues a "
    "run that has begun",
    interrupted="--resume continues from the last epoch",
    before=enable_compilation_cache,
)
