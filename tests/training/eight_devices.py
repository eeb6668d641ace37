"""Tests on eight devices, which test_sharding.py runs in a process of their own."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from jaxrec.config.experiment import Config, TrainConfig
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, prepare
from jaxrec.data.interactions import FilterConfig
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.sources.load import load_interactions
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.errors import UserError
from jaxrec.models.folding import fold_features
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.defaults import window_shape_of
from jaxrec.training.distillation import Teacher, distill
from jaxrec.training.fit import fit, init_model
from jaxrec.training.learner import make_learner
from jaxrec.training.objective import make_objective
from jaxrec.training.sharding import (
    batch_shard,
    make_mesh,
    padded_rows,
    shard_batch,
    shard_state,
    unshard_state,
)
from jaxrec.training.step import TrainState, make_dispatch, name_of
from jaxrec.training.warm_start import known_ids
from jaxrec.training.windows import training_batches
from tests.training.shop_logs import (
    PLAIN,
    TODAY,
    dataset_of_shop,
    model_of,
    shop_log,
    starting_from,
    train_yesterday,
)

# 62 table rows with PAD, a multiple of neither 4 nor 8.
WORLD = DataConfig(
    synthetic=SyntheticConfig(users=60, items=61),
    history_length=5,
    filters=FilterConfig(min_item_interactions=1),
)
SMALL = Config(
    WORLD,
    ModelConfig("bow", embedding_dim=6, hidden_units=8, dropout=0.0),
    TrainConfig(loss="full-softmax", batch_size=16),
)
SAMPLED = replace(SMALL.train, loss="sampled-softmax", negatives=24)


def world(config: Config) -> Dataset:
    return prepare(load_interactions(config.data, seed=0), config.data, seed=0)


def teacher_of(dataset: Dataset, config: Config) -> Teacher:
    model = init_model(dataset, replace(config, train=replace(config.train, seed=7)))
    is_known_R = jnp.arange(dataset.vocabulary.size + 1) % 5 > 0
    return Teacher(fold_features(model, ids_by_name(dataset.item_features)), 5, is_known_R)


def learn(config: Config, shards: int | None, *, taught: bool = False) -> dict[str, np.ndarray]:
    """Return the state and the losses after two dispatches, by name.

    Args:
        shards: devices over which the item tables are sharded; None trains on one device.
    """
    dataset = world(config)
    rows = dataset.vocabulary.size + 1
    assert rows == 62
    mesh = None
    if shards is not None:
        mesh = make_mesh(window_shape_of(dataset, config.data, config.train).batch_multiple, shards)
    share = () if mesh is None else (batch_shard(mesh),)
    batches = training_batches(dataset, config.data, config.train, *share)
    graphdef, params = nnx.split(init_model(dataset, config), nnx.Param)
    padded = None if mesh is None else padded_rows(rows, mesh)
    objective = make_objective(graphdef, dataset, config, padded)
    if taught:
        teacher = teacher_of(dataset, config).pad(padded or rows)
        objective = replace(objective, loss=distill(objective.loss, [teacher]))
    learner = make_learner(objective, config.train, optax.constant_schedule(0.003))
    state: Any = learner.init(params)
    if mesh is not None:
        state = shard_state(state, mesh, rows)
        require_sharded(state, mesh.shape["model"])
    dispatch = make_dispatch(learner, config.train.seed)
    losses = []
    for number in range(2):
        batch: Any = batches.dispatch(number)
        if mesh is not None:
            batch = shard_batch(batch, mesh)
        state, each = dispatch(state, batch)
        losses.append(np.asarray(each))
    if mesh is not None:
        require_sharded(state, mesh.shape["model"])
        state = unshard_state(state, mesh, rows)
    named = {name_of(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(state)}
    return {**named, "losses": np.concatenate(losses)}


def require_sharded(state: TrainState, shards: int) -> None:
    """Check that only the item tables and their optimizer state are sharded."""
    for path, leaf in jax.tree.leaves_with_path(state):
        name = name_of(path)
        is_table = leaf.ndim > 0 and len(leaf) >= 62
        assert (leaf.sharding.spec == PartitionSpec("model")) == (is_table and shards > 1), name
        if is_table:
            assert leaf.addressable_shards[0].data.shape[0] == -(-62 // shards), name


def require_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.shape == other[name].shape, name
        np.testing.assert_allclose(values, other[name], rtol=2e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(
    ("train", "optimizer", "shards"),
    [
        (SMALL.train, "adamw", 8),
        (SMALL.train, "rowwise-adagrad", 4),
        (replace(SAMPLED, sampler="uniform"), "rowwise-adagrad", 2),
        (replace(SAMPLED, sampler="uniform"), "adamw", 1),
        (replace(SAMPLED, sampler="log-uniform"), "adamw", 4),
        (replace(SAMPLED, sampler="batch"), "rowwise-adagrad", 8),
    ],
    ids=lambda value: getattr(value, "sampler", value),
)
def test_training_on_any_mesh_matches_one_device(train, optimizer, shards):
    config = replace(SMALL, train=replace(train, table_optimizer=optimizer))
    require_same(learn(config, shards), learn(config, None))


@pytest.mark.parametrize(
    ("optimizer", "taught", "more"),
    [
        ("adamw", True, {"item_features": "genres"}),
        ("rowwise-adagrad", False, {"item_features": "genres", "predict_ratings": True}),
    ],
)
def test_training_with_features_and_ratings_matches_one_device(optimizer, taught, more):
    """Item features, untied embeddings, a rating head and distillation."""
    config = Config(
        replace(WORLD, **more),
        replace(SMALL.model, tie_embeddings=False),
        replace(SMALL.train, table_optimizer=optimizer),
    )
    require_same(learn(config, 4, taught=taught), learn(config, None, taught=taught))


def test_a_run_that_starts_from_another_learns_alike_on_any_mesh(tmp_path):
    """Its tables have 39 rows, eight of them new."""
    run, tables = train_yesterday(tmp_path / "yesterday", PLAIN), []
    for shards in (1, 4):
        directory = RunDirectory(tmp_path / f"{shards}")
        config = starting_from(run, teacher=str(run.path))
        dataset = dataset_of_shop(config, shop_log(TODAY), known_ids(config, directory))
        assert fit(dataset, config, directory, model_shards=shards)
        tables.append(np.asarray(model_of(directory).item_table))
    assert len(tables[0]) == 39
    np.testing.assert_allclose(tables[0], tables[1], rtol=2e-4, atol=2e-6)


def test_a_sharded_table_is_never_materialized_on_one_device():
    """The compiled step has no array with a row for every item."""
    dataset, rows = world(SMALL), 62
    for train in (SMALL.train, replace(SAMPLED, table_optimizer="rowwise-adagrad")):
        config = replace(SMALL, train=train)
        mesh = make_mesh(16, 8)
        graphdef, params = nnx.split(init_model(dataset, config), nnx.Param)
        objective = make_objective(graphdef, dataset, config, padded_rows(rows, mesh))
        learner = make_learner(objective, config.train, optax.constant_schedule(0.003))
        state = shard_state(learner.init(params), mesh, rows)
        batch = shard_batch(training_batches(dataset, config.data, train).dispatch(0), mesh)
        dispatch: Any = make_dispatch(learner, 0)
        program = dispatch.lower(state, batch).compile().as_text()
        assert f"f32[{8},6]" in program  # one shard: eight rows of a table
        assert "f32[64,6]" not in program and "f32[62,6]" not in program


def test_invalid_meshes_are_refused():
    with pytest.raises(UserError, match="--model-shards=3 does not divide the 8 devices"):
        make_mesh(16, 3)
    with pytest.raises(UserError, match="--batch-size=12 cannot be split over 8 devices"):
        make_mesh(12)
    assert make_mesh(12, 2).shape == {"data": 4, "model": 2}


def test_unsharding_restores_the_state_of_any_mesh():
    state = {"params": {"bias": jnp.arange(62.0), "candidates": jnp.ones((62, 3))}, "step": 5}
    for shards in (1, 2, 4, 8):
        mesh = make_mesh(8, shards)
        back = unshard_state(shard_state(state, mesh, 62), mesh, 62)
        assert jax.tree.all(jax.tree.map(np.array_equal, back, state))
