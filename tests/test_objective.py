"""The objective: pure, and differentiable by the rows that a step touches as by whole tables."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxrec.data.batching import Batch
from jaxrec.data.seen import Seen, met_in_batch
from jaxrec.schema import ITEM, Feature, HeadSpec, Schema
from jaxrec.training.losses import Rows
from jaxrec.training.negatives import Negatives, everything
from jaxrec.training.objective import UNKNOWN_SHARE, Objective, hide, look_up, loss
from tests.test_models import COUNTS, SIZE, make

GENRE = Feature("genre", "activity", "id", 4)


def batch_of(seed: int) -> Batch:
    """Two windows of seven activities and three targets, one of them short, with what was seen."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, SIZE + 1, (2, 7)).astype(np.int32)
    items[0, :5] = 0
    targets = rng.integers(1, SIZE + 1, (2, 3)).astype(np.int32)
    targets[0, 0] = 0
    seen = Seen(rng.integers(1, SIZE + 1, 9).astype(np.int32), np.array([0, 4, 9]))
    genres = rng.integers(0, GENRE.size + 1, (2, 7)).astype(np.int32)
    history = {ITEM: items, GENRE.name: np.where(items > 0, genres, 0)}
    return jax.tree.map(
        jnp.asarray,
        Batch(history, targets, (targets > 0).astype(np.float32), seen.as_batch(SIZE, most=5)),
    )


@pytest.mark.parametrize("encoder", ["bow", "cnn", "rnn"])
def test_gradients_by_rows_are_those_by_tables(encoder):
    """Added up where ids repeat: whoever updates rows alone learns what the step learns."""
    model, batch = make(encoder, features=(GENRE,)), batch_of(1)
    negatives = Negatives(jnp.array([3, 9, 9, 20]), jnp.log(jnp.array([0.5, 1.0, 1.0, 2.0])))
    graphdef, params = nnx.split(model, nnx.Param)

    def by_params(params):
        model = nnx.merge(graphdef, params)
        return loss(model, look_up(model, batch, negatives), batch, None, span=5)[ITEM]

    def by_rows(learned):
        activities, targets, biases, columns, offsets = learned
        rows = Rows(activities, targets, biases, negatives, columns, offsets)
        return loss(model, rows, batch, None, span=5)[ITEM]

    rows = look_up(model, batch, negatives)
    learned = (rows.features, rows.targets_WBD, rows.target_biases_WB)
    learned += (rows.negatives_SD, rows.negative_biases_S)
    value, gradients = jax.value_and_grad(by_rows)(learned)
    expected, tables = jax.value_and_grad(by_params)(params)
    np.testing.assert_allclose(value, expected, rtol=1e-6)

    activities, targets, biases, columns, offsets = gradients
    items = jnp.zeros((SIZE + 1, 6)).at[batch.history[ITEM]].add(activities[ITEM])
    items = items.at[batch.targets.T].add(targets).at[negatives.ids_S].add(columns)
    genres = jnp.zeros((GENRE.size + 1, 6)).at[batch.history["genre"]].add(activities["genre"])
    bias = jnp.zeros(SIZE + 1).at[batch.targets.T].add(biases).at[negatives.ids_S].add(offsets)
    for own, name in ((items, ITEM), (genres, GENRE.name)):
        table = tables["activities"]["tables"][name][...]
        np.testing.assert_allclose(own, table, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(bias, tables["bias"][...], rtol=1e-4, atol=1e-6)


def test_features_but_the_item_are_hidden_in_whole_rows_and_here_and_there():
    ones = jnp.ones((500, 20), jnp.int32)
    history = {ITEM: ones, "rating": ones, "age": ones, "user_age": ones[:, 0]}
    found = {name: np.asarray(ids) for name, ids in hide(history, jax.random.key(0)).items()}
    assert (found[ITEM] == 1).all()
    row = (found["rating"] == 0).all(axis=1)
    np.testing.assert_array_equal(row, (found["age"] == 0).all(axis=1))
    assert not found["user_age"][row].any()
    for shares in (row, found["rating"][~row] == 0, found["age"][~row] == 0):
        assert abs(shares.mean() - UNKNOWN_SHARE) < 0.04
    assert (found["rating"][~row] != found["age"][~row]).any()


def test_losses_of_heads_are_added_up_by_their_weights():
    head = HeadSpec("rating", 1.0, (1.0, 2.0, 4.0))
    model, batch, key = make("bow", heads=(head,)), batch_of(2), jax.random.key(0)
    batch = batch._replace(labels={"rating": batch.targets % 4})
    graphdef, params = nnx.split(model, nnx.Param)
    popularity = jnp.log(jnp.asarray(np.maximum(COUNTS, 1), jnp.float32))

    def total(weight: float) -> jax.Array:
        schema = Schema(SIZE, 6, (), (replace(head, weight=weight),))
        return Objective(graphdef, schema, "uniform", None, popularity, 5)(params, batch, key)

    negatives = everything(SIZE + 1)
    negatives = negatives._replace(met_BS=met_in_batch(batch.seen, negatives.ids_S))
    rows = look_up(model, batch, negatives)
    dropout_key = jax.random.split(key)[1]
    alone = loss(model, rows, batch, dropout_key, span=5)
    assert alone["rating"] > 0
    for weight in (0.0, 0.25, 1.0):
        wanted = alone[ITEM] + weight * alone["rating"]
        np.testing.assert_allclose(total(weight), wanted, rtol=1e-6)
