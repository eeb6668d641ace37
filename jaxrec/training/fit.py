"""A complete run: from a configuration to a trained and evaluated model in its directory."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
from flax import nnx

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset, make_dataset
from jaxrec.data.known_ids import NOTHING_KNOWN, KnownIds
from jaxrec.data.log_summary import format_summary
from jaxrec.data.sources.load import load_ordered
from jaxrec.data.targets import describe_targets
from jaxrec.errors import UserError
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.summary import Summary
from jaxrec.training.defaults import (
    describe_defaults,
    describe_test_cost,
    draw_validation_users,
    dropout_rate,
    window_shape_of,
)
from jaxrec.training.distillation import directories_of_teachers, read_teachers
from jaxrec.training.evaluate import evaluate_and_save
from jaxrec.training.loop import train
from jaxrec.training.processes import (
    by_leader,
    is_leader,
    raise_on_lost_process,
    require_same,
    shutdown,
)
from jaxrec.training.sharding import make_mesh
from jaxrec.training.warm_start import continue_model, known_ids, start_of


def load_dataset(
    config: Config, table: pl.DataFrame | None = None, known: KnownIds = NOTHING_KNOWN
) -> Dataset:
    """Read the log of a configuration, split it, and print a summary of the log.

    Args:
        table: the log, if it is in memory.
        known: the ids of an earlier run, which are kept.
    """
    log = load_ordered(config.data, seed=config.train.seed, table=table)
    dataset = make_dataset(log, config.data, seed=config.train.seed, known=known)
    dataset = draw_validation_users(dataset, config)
    if is_leader():
        print(format_summary(dataset.log_summary, config.data.dataset))
        lines = describe_targets(dataset, config.data)
        lines += known.describe(dataset.vocabulary, dataset.timelines.items)
        if chosen := describe_defaults(config, dataset):
            lines.append(f"chosen for this log: {chosen}")
        if note := describe_test_cost(config, dataset):
            lines.append(note)
        print("\n".join(f"  {line}" for line in lines), flush=True)
    return dataset


def run_experiment(
    config: Config,
    directory: RunDirectory,
    *,
    table: pl.DataFrame | None = None,
    overwrite: bool = False,
    model_shards: int = 1,
) -> Summary | None:
    """Load the data, train and evaluate; resume from the latest checkpoint in the directory.

    Args:
        table: the log, if it is in memory.
        overwrite: remove an older run from the directory, after all other checks have passed.
        model_shards: number of devices over which the item tables are sharded.

    Returns:
        The summary; None in all processes except the leader.

    Raises:
        UserError: the data, the directory or the devices do not fit the configuration.
    """
    earlier = [("--teacher", each.path) for each in directories_of_teachers(config)]
    if config.train.from_run is not None:
        earlier.insert(0, ("--from-run", Path(config.train.from_run)))
    for flag, path in earlier:
        if path.resolve() == directory.path.resolve():
            raise UserError(f"{flag}={path} is the run directory too; give another --run-dir")
    dataset = load_dataset(config, table, known_ids(config, directory, overwrite=overwrite))
    require_same(config, dataset.vocabulary.digest)
    # Checked before an older run is removed.
    make_mesh(window_shape_of(dataset, config.data, config.train).batch_multiple, model_shards)
    if overwrite:
        by_leader(partial(_remove, directory))
    return fit(dataset, config, directory, model_shards=model_shards)


def fit(
    dataset: Dataset, config: Config, directory: RunDirectory, *, model_shards: int = 1
) -> Summary | None:
    """Train on a data set from the latest checkpoint in the directory, evaluate and save.

    Returns:
        The summary; None in all processes except the leader.
    """
    teachers = read_teachers(config, dataset)
    by_leader(partial(directory.begin, config, dataset))
    with raise_on_lost_process():
        source = start_of(config, directory)
        model = init_model(dataset, config)
        if source is not None:
            model = continue_model(model, dataset, source)
        trained = train(model, dataset, config, directory, teachers, model_shards=model_shards)
    shutdown()
    return evaluate_and_save(trained, dataset, config, directory) if is_leader() else None


def init_model(dataset: Dataset, config: Config) -> RecommenderModel:
    """Initialize the model of a data set from the training seed."""
    schema, counts = dataset.schema(config.model.embedding_dim), dataset.vocabulary.counts
    targets = int(counts.sum())
    rate = dropout_rate(config, dataset.vocabulary.size, targets)
    model_config = replace(config.model, dropout=rate)

    @nnx.jit  # run eagerly, each shape would be compiled on its own
    def init() -> RecommenderModel:
        return RecommenderModel(schema, model_config, counts, rngs=nnx.Rngs(config.train.seed))

    return init()


def _remove(directory: RunDirectory) -> None:
    if directory.path.exists():
        shutil.rmtree(directory.path)
