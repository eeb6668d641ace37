"""Logs of a shop on two days: some items leave the log, others are new, and so are values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.dataset import Dataset, make_dataset
from jaxrec.data.interactions import Interactions
from jaxrec.data.known_ids import NOTHING_KNOWN, KnownIds
from jaxrec.data.ordered import order_log
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.fit import fit
from tests.small_data import data_config

USERS = 60
YESTERDAY, TODAY = range(30), [*range(40, 32, -1), *range(4, 30)]
"""The items of the two logs: 0 to 3 have left, and 33 to 40 are new; the first are popular."""

PLAIN = Config(
    data_config(dataset="monday.csv", history_length=4, keep_seen=True),
    ModelConfig("bow", embedding_dim=6, hidden_units=8, dropout=0.0),
    TrainConfig(batch_size=8, epochs=3, learning_rate=0.02),
)
FEATURES = data_config(
    dataset="monday.csv",
    history_length=4,
    keep_seen=True,
    item_features="brand",
    activity_features="device,price",
    user_features="country",
    predict_ratings=True,
)


def shop_log(items, *, devices=("web", "app"), brands=3, countries=("de", "fr"), ratings=4, seed=0):
    """Draw a log of items, the first of which are popular, with tables of items and users."""
    rng = np.random.default_rng(seed)
    items, length = list(items), 12
    count = USERS * length
    places = (len(items) * rng.random(count) ** 2).astype(int)
    log = pl.DataFrame(
        {
            "user": np.repeat(np.arange(USERS), length),
            "item": [f"sku{items[place]}" for place in places],
            "timestamp": np.tile(np.arange(length), USERS),
            "rating": rng.integers(1, ratings + 1, count).astype(float),
            "device": rng.choice(devices, count),
            "price": rng.integers(0, 500, count),
        }
    )
    table = pl.DataFrame(
        {
            "item": [f"sku{item}" for item in items],
            "title": [f"Shirt {item}" for item in items],
            "genres": pl.Series([None] * len(items), dtype=pl.List(pl.String)),
            "year": pl.Series([None] * len(items), dtype=pl.Int32),
            "brand": [f"brand{item % brands}" for item in items],
        }
    )
    users = pl.DataFrame(
        {"user": np.arange(USERS), "country": [countries[u % len(countries)] for u in range(USERS)]}
    )
    return Interactions(log, table, users)


def dataset_of_shop(
    config: Config, interactions: Interactions, known: KnownIds = NOTHING_KNOWN
) -> Dataset:
    log = order_log(interactions, config.data.filters)
    return make_dataset(log, config.data, seed=0, known=known)


def train_yesterday(folder: Path, config: Config) -> RunDirectory:
    directory = RunDirectory(folder)
    fit(dataset_of_shop(config, shop_log(YESTERDAY)), config, directory)
    return directory


def starting_from(run: RunDirectory, config: Config = PLAIN, **settings: Any) -> Config:
    return replace(config, train=replace(config.train, from_run=str(run.path), **settings))


def model_of(run: RunDirectory) -> Any:
    return read_model(run.checkpoints, run.schema(), run.config().model)
