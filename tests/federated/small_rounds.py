"""Rounds of seven clients, small enough to compare every parameter."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.data.data_config import DataConfig
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.windowing import WindowShape
from jaxrec.federated.averaging import Round, init_server_state, make_round, round_keys
from jaxrec.federated.cohorts import CLIENTS_PER_CHUNK, make_clients
from jaxrec.federated.settings import FederatedConfig
from jaxrec.models.model_config import ModelConfig
from jaxrec.training.fit import init_model
from jaxrec.training.objective import make_objective
from jaxrec.training.step import name_of
from tests.small_data import dataset_of

# Seven users; item 90 occurs in the timeline of the last one alone.
ITEMS_BY_USER = [
    [10, 20, 30, 40, 50, 60],
    [20, 10, 30, 10, 20],
    [50, 60, 40, 10, 30],
    [10, 20, 30, 40],
    [60, 50, 20, 30, 40],
    [30, 20, 60],
    [20, 90, 90, 40, 10],
]
CONFIG = Config(
    DataConfig(history_length=3, filters=FilterConfig(min_item_interactions=1)),
    ModelConfig(encoder="bow", embedding_dim=4, hidden_units=6, dropout=0.0),
    TrainConfig(window_length=4, window_overlap=2, batch_size=8),
)
DATASET = dataset_of(ITEMS_BY_USER)
GRAPHDEF, PARAMS = nnx.split(init_model(DATASET, CONFIG), nnx.Param)
OBJECTIVE = make_objective(GRAPHDEF, DATASET, CONFIG)
CLIENTS = make_clients(
    DATASET.timelines,
    DATASET.split,
    WindowShape(4, 2, 1),
    expected=7,
    steps=2,
    catalogue_size=DATASET.vocabulary.size,
)
# A clip norm that no update of these clients reaches.
LOOSE = FederatedConfig(clients=7, local_steps=2, local_learning_rate=0.1, clip_norm=100.0)
# Sharing the item tables requires a noise multiplier, but `run_round` adds no noise by default.
SHARE_ALL = replace(LOOSE, shared_parameters="all", noise_multiplier=1.0)


def make_cohort(*clients: int) -> np.ndarray:
    """Return the clients, padded with -1 to a whole number of chunks."""
    size = CLIENTS_PER_CHUNK * -(-len(clients) // CLIENTS_PER_CHUNK)
    return np.array([*clients, *[-1] * (size - len(clients))], np.int32)


@cache
def compile_round(config: FederatedConfig, noise: float) -> Round:
    return make_round(OBJECTIVE, config, noise)


def run_round(config: FederatedConfig, cohort: np.ndarray, batches: Batch | None = None, noise=0.0):
    """Run round 0 from the untrained model; return the new parameters and the round's metrics."""
    state = jax.tree.map(jnp.copy, init_server_state(PARAMS, config))
    if batches is None:
        batches = CLIENTS.gather(cohort, round_keys(config.seed, 0).windows)
    state, metrics = compile_round(config, noise)(state, cohort, batches)
    return state.params, metrics


def arrays_by_name(params) -> dict[str, np.ndarray]:
    return {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(params)}


def changes(params) -> dict[str, np.ndarray]:
    """Return the difference from the untrained parameters."""
    before = arrays_by_name(PARAMS)
    return {name: leaf - before[name] for name, leaf in arrays_by_name(params).items()}


def assert_params_equal(ours, theirs, **tolerance) -> None:
    ours, theirs = arrays_by_name(ours), arrays_by_name(theirs)
    assert ours.keys() == theirs.keys()
    for name, leaf in ours.items():
        np.testing.assert_allclose(leaf, theirs[name], err_msg=name, **tolerance)
