"""Learning by rows: the gradients are those of whole tables, and nothing else changes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrec.config.experiment import SamplerName, TrainConfig
from jaxrec.schema import ITEM, Schema
from jaxrec.training.learner import TABLE_RATE, make_learner
from jaxrec.training.negatives import Negatives
from jaxrec.training.objective import Objective
from jaxrec.training.optimizer import rate_schedule
from jaxrec.training.rows import by_item, few, init_gathered, put, take, with_tables
from jaxrec.training.teacher import Teacher
from tests.test_item_features import GENRE, IDS
from tests.test_models import COUNTS, SIZE, make
from tests.test_objective import batch_of
from tests.test_rating import STARS

CONFIG = TrainConfig(table_optimizer="rowwise-adagrad", clip_norm=1e6, warmup=0.0)
POPULARITY = jnp.log(jnp.asarray(np.maximum(COUNTS, 1), jnp.float32))


def of_items(seed: int):
    """A batch that knows of items alone."""
    batch = batch_of(seed)
    return batch._replace(history={ITEM: batch.history[ITEM]})


def an_objective(
    model,
    *,
    teacher=None,
    features=(),
    heads=(),
    item_ids=None,
    sampler: SamplerName = "uniform",
):
    graphdef, params = nnx.split(model, nnx.Param)
    schema, ids = Schema(SIZE, 6, features, heads), item_ids or {}
    return Objective(graphdef, schema, sampler, 8, POPULARITY, 5, ids, 0.0, teacher), params


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ids_are_renumbered_and_nothing_is_lost(seed: int):
    batch = of_items(seed)
    drawn = jax.random.randint(jax.random.key(seed), (6,), 0, SIZE + 1)
    touched = few(batch, Negatives(drawn, jnp.zeros(6)), SIZE + 1)
    ids = np.asarray(touched.ids_T)
    for old, new in (
        (batch.history[ITEM], touched.batch.history[ITEM]),
        (batch.targets, touched.batch.targets),
        (drawn, touched.negatives.ids_S),
    ):
        np.testing.assert_array_equal(ids[new], old)
        np.testing.assert_array_equal(new == 0, old == 0)
    real = ids[ids <= SIZE]
    assert list(real) == sorted(set(real))
    assert set(ids) - set(real) <= {SIZE + 1}


def test_row_wise_adagrad_by_hand():
    """Row 2 has gathered 12 and gathers (9 + 16) / 2 more; row 0 gathers (1 + 1) / 2."""
    tables = {"table": jnp.zeros((4, 2)), "bias": jnp.ones(4)}
    gathered = init_gathered(tables)
    gathered["table"] = gathered["table"].at[2].set(12.0)
    gradients = {
        "table": jnp.array([[1.0, -1.0], [3.0, 4.0], [7.0, 7.0]]),
        "bias": jnp.array([0.0, -2.0, 7.0]),
    }
    tables, gathered = put(tables, gathered, jnp.array([0, 2, 4]), gradients, jnp.float32(0.1))
    np.testing.assert_allclose(gathered["table"], [1, 0, 24.5, 0])
    np.testing.assert_allclose(gathered["bias"], [0, 0, 4, 0])
    step = 0.1 / np.sqrt(24.5)
    expected = [[-0.1, 0.1], [0, 0], [-3 * step, -4 * step], [0, 0]]
    np.testing.assert_allclose(tables["table"], expected, rtol=1e-6)
    np.testing.assert_allclose(tables["bias"], [1, 1, 1.1, 1], rtol=1e-6)


@pytest.mark.parametrize("sampler", ["uniform", "log-uniform", "batch"])
@pytest.mark.parametrize("kind", ["tied", "untied", "taught", "with features", "rated"])
def test_gradients_of_few_rows_are_those_of_whole_tables(kind, sampler):
    features = (GENRE.feature,) if kind == "with features" else ()
    heads = (STARS,) if kind == "rated" else ()
    model = make("rnn", features=features, heads=heads, tie_embeddings=kind != "untied")
    teacher = Teacher(make("bow"), span=4) if kind == "taught" else None
    objective, params = an_objective(
        model,
        teacher=teacher,
        features=features,
        heads=heads,
        item_ids=IDS if features else None,
        sampler=sampler,
    )
    batch, key = of_items(3), jax.random.key(1)
    if kind == "rated":
        ratings = jnp.where(batch.targets > 0, batch.targets % 4, 0)
        batch = batch._replace(labels={STARS.name: ratings})
    expected_loss, expected = jax.value_and_grad(objective)(params, batch, key)
    touched = few(batch, objective.draw(batch, key), SIZE + 1)
    rows = with_tables(params, take(by_item(params), touched.ids_T))
    loss, gradients = jax.value_and_grad(objective.cost)(
        rows, touched.batch, touched.negatives, key, touched.ids_T
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    spread = {
        name: jnp.zeros(table.shape).at[touched.ids_T].add(by_item(gradients)[name], mode="drop")
        for name, table in by_item(params).items()
    }
    whole = jax.tree.leaves(with_tables(gradients, spread))
    for own, other in zip(whole, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


def test_a_step_changes_the_rows_that_it_touched_and_all_other_parameters():
    objective, params = an_objective(make("rnn"))
    learner = make_learner(objective, CONFIG, total_steps=10)
    batch, key = of_items(3), jax.random.key(1)
    before = by_item(params)
    state, _ = jax.jit(learner.update)(learner.init(params), batch, key)
    touched = few(batch, objective.draw(batch, key), SIZE + 1).ids_T
    after, others = by_item(state.params), np.setdiff1d(np.arange(SIZE + 1), touched)
    assert len(others) > 3
    gradients = by_item(jax.grad(objective)(params, batch, key))
    rate = TABLE_RATE * rate_schedule(CONFIG, 10)(0)
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
    _, gathered = state.optimizer
    assert {name: sums.shape for name, sums in gathered.items()} == dict.fromkeys(
        before, (SIZE + 1,)
    )


def test_large_catalogues_learn_by_rows():
    """AdamW keeps two numbers for each parameter."""
    objective, params = an_objective(make("bow"))
    large = replace(objective, schema=Schema(50_001, 6))

    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def is_dense(objective, config):
        state = make_learner(objective, config, 10).init(params)
        return sum(leaf.size for leaf in jax.tree.leaves(state.optimizer)) >= 2 * size

    assert is_dense(objective, TrainConfig())
    assert not is_dense(large, TrainConfig())
    assert is_dense(large, TrainConfig(table_optimizer="adamw"))
    assert not is_dense(objective, CONFIG)
