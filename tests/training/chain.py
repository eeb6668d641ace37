"""A chain of items that a small model learns in a few epochs."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
from flax import nnx

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import prepare
from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.loop import train

ITEMS = 20
CONFIG = Config(
    DataConfig(history_length=4, keep_seen=True),
    ModelConfig(embedding_dim=16, hidden_units=32, dropout=0.0),
    TrainConfig(batch_size=16, negatives=32, epochs=8, learning_rate=0.02, seed=3),
)
# For tests that do not check the recall.
SHORT = replace(CONFIG, train=replace(CONFIG.train, epochs=4))
FINAL_FIT = replace(
    CONFIG,
    data=replace(CONFIG.data, train_on_validation=True),
    train=replace(CONFIG.train, epochs=4, patience=1),
)


def make_chain(noise: float, users: int = 400, length: int = 12, seed: int = 0) -> Interactions:
    """Generate a chain x -> (3x + 7) mod ITEMS, where a share `noise` of the steps is random."""
    rng = np.random.default_rng(seed)
    items = np.empty((users, length), np.int64)
    items[:, 0] = rng.integers(0, ITEMS, users)
    for step in range(1, length):
        is_random = rng.random(users) < noise
        next_items = (items[:, step - 1] * 3 + 7) % ITEMS
        items[:, step] = np.where(is_random, rng.integers(0, ITEMS, users), next_items)
    log = pl.DataFrame(
        {
            "user": np.repeat(np.arange(users), length),
            "item": items.ravel(),
            "timestamp": np.tile(np.arange(length), users),
        }
    )
    no_items = pl.DataFrame(
        schema=dict(
            zip(ITEM_COLUMNS, (pl.Int64, pl.String, pl.List(pl.String), pl.Int32), strict=True)
        )
    )
    return Interactions(log, no_items)


def fit(run_dir: Path, config: Config, noise: float = 0.1):
    dataset = prepare(make_chain(noise), config.data, seed=0)
    schema = dataset.schema(config.model.embedding_dim)
    model = RecommenderModel(schema, config.model, dataset.vocabulary.counts, rngs=nnx.Rngs(0))
    return train(model, dataset, config, RunDirectory(run_dir)), dataset


def recall_at_1(trained, dataset, config) -> float:
    scorer = model_scorer(trained.graphdef, trained.params)
    ranking = rank(scorer, dataset, dataset.split.test, config.data)
    return float((ranking.ranks == 1).mean())


def arrays_of(params) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
