"""Small models with random parameters, and batches and held-out histories for them."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxrec.data.batching import Batch
from jaxrec.data.excluded_items import ExcludedItems
from jaxrec.data.item_features import ItemFeature
from jaxrec.models.model import PAD_BIAS, RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.heldout import Heldout
from jaxrec.schema import ITEM, PAD, Feature, HeadSpec, Schema

# The number of items, and how often each is in the log.
SIZE = 30
COUNTS = np.array([0, *range(SIZE, 0, -1)])

STARS = HeadSpec("rating", 1.0, (1.0, 2.0, 4.0))
ACTIVITY_GENRE = Feature("genre", "activity", "id", 4)
ITEM_GENRE = ItemFeature("genre", ("A", "B", "C"), np.zeros((SIZE + 1, 2), np.int32))
ITEM_GENRE.ids[3] = [1, 3]
ITEM_GENRE.ids[5] = [2, 0]
ITEM_GENRE_IDS = {"genre": jnp.asarray(ITEM_GENRE.ids)}


def make_model(encoder, seed=0, features=(), heads=(), size=SIZE, scale=0.4, **settings):
    config = ModelConfig(encoder=encoder, **{"hidden_units": 8, "embedding_dim": 6, **settings})
    schema = Schema(size, 6, features, heads)
    build = partial(RecommenderModel, schema, config, COUNTS[: size + 1])
    model = initialize_randomly(build, seed, scale)
    model.bias[...] = model.item_bias.at[PAD].set(PAD_BIAS)
    return model


def initialize_randomly(build, seed, scale=0.4):
    """Build a model with random parameters, so that no property holds because of a zero.

    NumPy draws them, since JAX compiles a generator for each shape.
    """
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(seed)

    def draw(leaf):
        return jnp.asarray(rng.normal(0, scale, leaf.shape), leaf.dtype)

    return nnx.merge(graphdef, jax.tree.map(draw, shapes))


def make_batch(seed: int) -> Batch:
    """Return two windows of seven activities and three targets, one padded, with excluded items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, SIZE + 1, (2, 7)).astype(np.int32)
    items[0, :5] = 0
    targets = rng.integers(1, SIZE + 1, (2, 3)).astype(np.int32)
    targets[0, 0] = 0
    excluded = ExcludedItems(rng.integers(1, SIZE + 1, 9).astype(np.int32), np.array([0, 4, 9]))
    genres = rng.integers(0, ACTIVITY_GENRE.size + 1, (2, 7)).astype(np.int32)
    history = {ITEM: items, ACTIVITY_GENRE.name: np.where(items > 0, genres, 0)}
    weights = (targets > 0).astype(np.float32)
    batch = Batch(history, targets, weights, excluded.as_batch(SIZE, max_ids=5))
    return jax.tree.map(jnp.asarray, batch)


def make_heldout(histories: Sequence[Sequence[int]]) -> Heldout:
    """Return held-out users with these histories, without excluded items."""
    ids = np.array(histories, np.int32)
    no_items = np.empty(0, np.int32)
    targets = np.full(len(ids), 7, np.int32)
    return Heldout({ITEM: ids}, targets, ExcludedItems(no_items, np.zeros(len(ids) + 1, np.int64)))


def random_histories(length: int) -> list[list[int]]:
    """Return 30 left-padded histories of random items."""
    rng = np.random.default_rng(0)
    return [
        [PAD] * (length - count) + rng.integers(1, SIZE + 1, count).tolist()
        for count in rng.integers(0, length + 1, 30)
    ]
