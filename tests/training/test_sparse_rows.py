"""Sparse rows: gradients equal those of whole tables, and only touched rows change."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from jaxrec.config.experiment import TrainConfig
from jaxrec.schema import ITEM, Schema
from jaxrec.training.distillation import Teacher, distill
from jaxrec.training.learner import TABLE_RATE, make_learner
from jaxrec.training.negatives import make_sampler
from jaxrec.training.objective import Objective, loss, step_keys
from jaxrec.training.sparse_rows import (
    compact,
    gather,
    init_accumulators,
    item_tables,
    scatter_adagrad,
    with_tables,
)
from jaxrec.training.transforms import Candidates
from tests.small_models import (
    COUNTS,
    ITEM_GENRE,
    ITEM_GENRE_IDS,
    SIZE,
    STARS,
    make_batch,
    make_model,
)

SCHEDULE = optax.constant_schedule(0.003)
CONFIG = TrainConfig(table_optimizer="rowwise-adagrad", clip_norm=1e6, warmup=0.0, negatives=8)


def items_only_batch(seed: int):
    """Return a batch whose histories have items alone."""
    batch = make_batch(seed)
    return batch._replace(history={ITEM: batch.history[ITEM]})


def make_objective(
    model,
    *,
    teacher=None,
    features=(),
    heads=(),
    item_ids=None,
    train=CONFIG,
):
    graphdef, params = nnx.split(model, nnx.Param)
    schema, plain = Schema(SIZE, 6, features, heads), partial(loss, history_length=5)
    used = distill(plain, [teacher]) if teacher else plain
    return Objective(graphdef, schema, used, make_sampler(train, COUNTS), item_ids or {}), params


@given(seed=st.integers(0, 10_000))
def test_compact_renumbers_ids_without_loss(seed: int):
    batch = items_only_batch(seed)
    drawn = jax.random.randint(jax.random.key(seed), (6,), 0, SIZE + 1)
    touched = compact(batch._replace(candidates=Candidates(drawn, jnp.zeros(6))), SIZE + 1)
    ids = np.asarray(touched.item_rows)
    for old, new in (
        (batch.history[ITEM], touched.history[ITEM]),
        (batch.targets, touched.targets),
        (drawn, touched.candidates.ids_S),
    ):
        np.testing.assert_array_equal(ids[new], old)
        np.testing.assert_array_equal(new == 0, old == 0)
    real = ids[ids <= SIZE]
    assert list(real) == sorted(set(real))
    assert set(ids) - set(real) <= {SIZE + 1}


def test_row_wise_adagrad_by_hand():
    """Row 2 has accumulated 12, and adds (9 + 16) / 2; row 0 adds (1 + 1) / 2."""
    tables = {"table": jnp.zeros((4, 2)), "bias": jnp.ones(4)}
    sums = init_accumulators(tables)
    sums["table"] = sums["table"].at[2].set(12.0)
    gradients = {
        "table": jnp.array([[1.0, -1.0], [3.0, 4.0], [7.0, 7.0]]),
        "bias": jnp.array([0.0, -2.0, 7.0]),
    }
    rows = jnp.array([0, 2, 4])
    tables, sums = scatter_adagrad(tables, sums, rows, gradients, jnp.float32(0.1))
    np.testing.assert_allclose(sums["table"], [1, 0, 24.5, 0])
    np.testing.assert_allclose(sums["bias"], [0, 0, 4, 0])
    step = 0.1 / np.sqrt(24.5)
    expected = [[-0.1, 0.1], [0, 0], [-3 * step, -4 * step], [0, 0]]
    np.testing.assert_allclose(tables["table"], expected, rtol=1e-6)
    np.testing.assert_allclose(tables["bias"], [1, 1, 1.1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    "candidates",
    [
        {},
        pytest.param({"sampler": "batch"}, marks=pytest.mark.slow),
        pytest.param({"loss": "full-softmax"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "kind", ["tied", "untied", "taught", "taught in part", "with features", "rated"]
)
def test_gradients_of_sparse_rows_equal_those_of_whole_tables(kind, candidates):
    features = (ITEM_GENRE.feature,) if kind == "with features" else ()
    heads = (STARS,) if kind == "rated" else ()
    model = make_model("rnn", features=features, heads=heads, tie_embeddings=kind != "untied")
    is_known_R = jnp.arange(SIZE + 1) % 3 > 0 if kind == "taught in part" else None
    teacher = Teacher(make_model("bow"), 4, is_known_R) if kind.startswith("taught") else None
    objective, params = make_objective(
        model,
        teacher=teacher,
        features=features,
        heads=heads,
        item_ids=ITEM_GENRE_IDS if features else None,
        train=replace(CONFIG, **candidates),
    )
    batch, key = items_only_batch(3), jax.random.key(1)
    if kind == "rated":
        ratings = jnp.where(batch.targets > 0, batch.targets % 4, 0)
        batch = batch._replace(labels={STARS.name: ratings})
    expected_loss, expected = jax.value_and_grad(objective)(params, batch, key)
    keys = step_keys(key)
    touched = compact(objective.prepare(batch, keys), SIZE + 1)
    rows = with_tables(params, gather(item_tables(params), touched.item_rows))
    value, gradients = jax.value_and_grad(objective.evaluate)(rows, touched, keys)
    np.testing.assert_allclose(value, expected_loss, rtol=1e-5)
    of_rows = item_tables(gradients)
    spread = {
        name: jnp.zeros(table.shape).at[touched.item_rows].add(of_rows[name], mode="drop")
        for name, table in item_tables(params).items()
    }
    whole = jax.tree.leaves(with_tables(gradients, spread))
    for gradient, expected_gradient in zip(whole, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


def test_a_step_updates_the_touched_rows_and_all_other_parameters():
    objective, params = make_objective(make_model("rnn"))
    learner = make_learner(objective, CONFIG, SCHEDULE)
    batch, key = items_only_batch(3), jax.random.key(1)
    before = item_tables(params)
    state, _ = jax.jit(learner.update)(learner.init(params), batch, key)
    touched = compact(objective.prepare(batch, step_keys(key)), SIZE + 1).item_rows
    after, others = item_tables(state.params), np.setdiff1d(np.arange(SIZE + 1), touched)
    assert len(others) > 3
    gradients = item_tables(jax.grad(objective)(params, batch, key))
    rate = TABLE_RATE * SCHEDULE(0)
    for name, table in before.items():
        np.testing.assert_array_equal(after[name][others], table[others])
        gradient = gradients[name].reshape(SIZE + 1, -1)
        size = np.sqrt(np.mean(gradient**2, axis=1, keepdims=True)) + 1e-8
        expected = table.reshape(SIZE + 1, -1) - rate * gradient / size
        np.testing.assert_allclose(
            after[name].reshape(SIZE + 1, -1), expected, rtol=1e-4, atol=1e-5
        )
    kernel, first = (each["encoder"]["layers"][0]["kernel"][...] for each in (state.params, params))
    assert jnp.any(kernel != first)
    _, accumulators = state.optimizer
    assert {name: sums.shape for name, sums in accumulators.items()} == dict.fromkeys(
        before, (SIZE + 1,)
    )


def test_large_catalogues_use_row_wise_adagrad():
    """A dense learner is recognized by the state of AdamW: two numbers for each parameter."""
    objective, params = make_objective(make_model("bow"))
    large = replace(objective, schema=Schema(50_001, 6))

    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def is_dense(objective, config):
        state = make_learner(objective, config, SCHEDULE).init(params)
        return sum(leaf.size for leaf in jax.tree.leaves(state.optimizer)) >= 2 * size

    assert is_dense(objective, TrainConfig())
    assert not is_dense(large, TrainConfig())
    assert is_dense(large, TrainConfig(table_optimizer="adamw"))
    assert not is_dense(objective, CONFIG)
