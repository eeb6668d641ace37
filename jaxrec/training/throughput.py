"""Throughput: how fast a configuration trains, and how near that is to the machine's peak."""

import time
from itertools import count, islice
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxrec.config.experiment import Config
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.schema import ITEM
from jaxrec.training.fit import init_model
from jaxrec.training.flops import matmul_flops
from jaxrec.training.learner import make_learner
from jaxrec.training.objective import make_objective
from jaxrec.training.sharding import make_mesh, shard_batch, shard_state
from jaxrec.training.step import make_dispatch

# In one measurement.
DISPATCHES = 4
# Rows, columns and depth of the product that is taken for the peak of the machine.
PEAK_SIZE = 1024


class Speed(NamedTuple):
    """Throughput of a training.

    Attributes:
        targets: trained on in a second.
        flops: floating point operations of matrix products in a second.
    """

    targets: float
    flops: float


class TimedTraining:
    """The training of one configuration, a few dispatches at a time."""

    def __init__(self, config: Config, dataset: Dataset, batches: TrainingBatches):
        self._graphdef, params = nnx.split(init_model(dataset, config), nnx.Param)
        objective = make_objective(self._graphdef, dataset, config)
        learner = make_learner(objective, config.train, optax.constant_schedule(1e-3))
        self._batches, self._mesh = batches, make_mesh(batches.shape.batch_multiple)
        self._state = shard_state(learner.init(params), self._mesh, dataset.vocabulary.size + 1)
        self._dispatch = make_dispatch(learner, config.train.seed)
        self._numbers = count()
        self._compile()
        self.speed()  # warm up: the first dispatches are slower

    def _compile(self) -> None:
        """Train on one dispatch of each shape."""
        self._flops: dict[tuple[int, ...], int] = {}
        for number in range(self._batches.dispatches_per_epoch):
            if len(self._flops) == self._batches.shapes:
                break
            batch = self._batches.dispatch(number)
            shape = batch.history[ITEM].shape
            if shape not in self._flops:
                sharded = shard_batch(batch, self._mesh)
                self._flops[shape] = matmul_flops(self._dispatch, self._state, sharded)
                self._state, _ = self._dispatch(self._state, sharded)

    def speed(self) -> Speed:
        """Train on a few dispatches; as in a run, one is gathered while the last one computes."""
        targets, flops, started = 0, 0, time.perf_counter()
        losses = jnp.zeros(0)
        for number in islice(self._numbers, DISPATCHES):
            batch = self._batches.dispatch(number)
            targets += int(np.count_nonzero(batch.targets))
            flops += self._flops[batch.history[ITEM].shape]
            self._state, losses = self._dispatch(self._state, shard_batch(batch, self._mesh))
        losses.block_until_ready()
        seconds = time.perf_counter() - started
        return Speed(targets / seconds, flops / seconds)

    def ranking_seconds(self, dataset: Dataset, config: DataConfig) -> float:
        """Rank the test targets once."""
        started = time.perf_counter()
        scorer = model_scorer(self._graphdef, self._state.params)
        rank(scorer, dataset, dataset.split.test, config)
        return time.perf_counter() - started

    def validation_seconds(self, dataset: Dataset, config: DataConfig) -> float:
        """Rank the validation targets once, as after an epoch."""
        started = time.perf_counter()
        scorer = model_scorer(self._graphdef, self._state.params)
        rank(scorer, dataset, dataset.split.validation, config, coverage=False)
        return time.perf_counter() - started


def peak_flops() -> float:
    """Return how many operations a second one large matrix product takes, in float32."""
    square = jnp.ones((PEAK_SIZE, PEAK_SIZE))
    jnp.matmul(square, square).block_until_ready()  # compile
    started = time.perf_counter()
    jnp.matmul(square, square).block_until_ready()
    return 2 * PEAK_SIZE**3 / (time.perf_counter() - started)
