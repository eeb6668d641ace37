"""Measure what a run costs on this machine: preparing the data, training, evaluating.

    jaxrec benchmark-training --dataset=ml-1m --data-dir=FOLDER_THAT_HOLDS_ml-1m

Prints one table. Times are medians of repeats taken in turn, so that a machine that slows down
slows all rows alike; still, compare ratios within a table, not figures of two tables.
"""

import platform
import statistics
import time
from dataclasses import dataclass, field
from itertools import count, islice

import jax
import numpy as np
from flax import nnx

from jaxrec.cli.command_line import command
from jaxrec.cli.settings import SettingsFlags
from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.config.fields import Flat
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, make_dataset
from jaxrec.data.sources.load import load_ordered
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.models.encoders import ENCODERS
from jaxrec.models.model_config import ModelConfig
from jaxrec.training.compilation_cache import keep_compiled
from jaxrec.training.defaults import negative_count
from jaxrec.training.fit import init_model
from jaxrec.training.learner import make_learner
from jaxrec.training.objective import make_objective
from jaxrec.training.sharding import make_mesh, shard_batch, shard_state
from jaxrec.training.step import make_dispatch
from jaxrec.training.windows import training_batches

# In one measurement.
DISPATCHES = 4


@dataclass(frozen=True)
class BenchmarkFlags(SettingsFlags):
    """What is measured; widths and windows are those of earlier figures, not the best ones."""

    model: Flat[ModelConfig] = field(
        default_factory=lambda: ModelConfig(embedding_dim=32, hidden_units=64)
    )
    train: Flat[TrainConfig] = field(
        default_factory=lambda: TrainConfig(
            negatives=512, batch_size=512, window_length=10, lead_in=0
        )
    )
    repeats: int = 9
    """how often each encoder is timed"""


class Training:
    """One encoder's training, a few dispatches at a time."""

    def __init__(
        self, encoder: str, flags: BenchmarkFlags, dataset: Dataset, batches: TrainingBatches
    ):
        config = Config(flags.data, flags.model.with_encoder(encoder), flags.train)
        self._graphdef, params = nnx.split(init_model(dataset, config), nnx.Param)
        objective = make_objective(self._graphdef, dataset, config)
        learner = make_learner(objective, flags.train, total_steps=10_000)
        self._batches, self._mesh = batches, make_mesh(batches.shape.rows)
        self._state = shard_state(learner.init(params), self._mesh, dataset.vocabulary.size + 1)
        self._dispatch = make_dispatch(learner, flags.train.seed)
        self._numbers = count()
        self._compile()

    def _compile(self) -> None:
        """Train on one dispatch of each shape."""
        met = set()
        for number in range(self._batches.dispatches_per_epoch):
            if len(met) == self._batches.shapes:
                break
            batch = self._batches.dispatch(number)
            shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch))
            if shapes not in met:
                met.add(shapes)
                self._state, _ = self._dispatch(self._state, shard_batch(batch, self._mesh))

    def targets_per_s(self) -> float:
        """Train on a few dispatches; as in a run, one is gathered while the last one computes."""
        targets, started = 0, time.perf_counter()
        losses = jax.numpy.zeros(0)
        for number in islice(self._numbers, DISPATCHES):
            batch = self._batches.dispatch(number)
            targets += int(np.count_nonzero(batch.targets))
            self._state, losses = self._dispatch(self._state, shard_batch(batch, self._mesh))
        losses.block_until_ready()
        return targets / (time.perf_counter() - started)

    def ranking_seconds(self, dataset: Dataset, config: DataConfig) -> float:
        """Rank the test targets once."""
        started = time.perf_counter()
        scorer = model_scorer(self._graphdef, self._state.params)
        rank(scorer, dataset, dataset.split.test, config)
        return time.perf_counter() - started


def measure(flags: BenchmarkFlags) -> None:
    """Measure and print.

    Raises:
        UserError: the log is missing or unreadable.
    """
    started = time.perf_counter()
    dataset = make_dataset(load_ordered(flags.data, seed=0), flags.data, seed=0)
    prepared = time.perf_counter() - started

    batches = training_batches(dataset, flags.data, flags.train)
    trainings = {name: Training(name, flags, dataset, batches) for name in ENCODERS}
    rounds = [
        {name: training.targets_per_s() for name, training in trainings.items()}
        for _ in range(flags.repeats)
    ]

    negatives = negative_count(flags.train, dataset.vocabulary.size)
    print(
        f"{flags.data.dataset}, N = {flags.data.history_length}, d = {flags.model.embedding_dim}, "
        f"{flags.model.hidden_units} units, {negatives or 'all'} negatives, batches of "
        f"{batches.shape.batch_size}; "
        f"{jax.device_count()} {jax.devices()[0].platform} device(s), "
        f"{platform.processor() or platform.machine()}\n"
    )
    print(f"{'log to ready timelines':<28}{prepared:>12.2f} s")
    for name in trainings:
        speeds = [each[name] for each in rounds]
        spread = f"{min(speeds):,.0f} to {max(speeds):,.0f}"
        print(f"{'training, ' + name:<28}{statistics.median(speeds):>12,.0f} targets/s  ({spread})")
    for name, training in trainings.items():
        seconds = min(training.ranking_seconds(dataset, flags.data) for _ in range(3))
        print(f"{f'ranking {len(dataset.split.test):,} tests, {name}':<28}{seconds:>12.2f} s")


main = command(
    measure,
    remedy="open the place",
    interrupted="nothing was kept",
    before=keep_compiled,
)
