"""The objective: feature masking, random keys, and the weighted sum of head losses."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxrec.config.experiment import TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.schema import ITEM, HeadSpec, Schema
from jaxrec.training.negatives import all_items, make_sampler
from jaxrec.training.objective import Objective, loss, step_keys
from jaxrec.training.transforms import MASK_RATE, add_candidates, mask_features
from tests.small_models import COUNTS, SIZE, make_batch, make_model


def test_features_are_masked_per_row_and_per_entry_except_the_item():
    ones = jnp.ones((500, 20), jnp.int32)
    history = {ITEM: ones, "rating": ones, "age": ones, "user_age": ones[:, 0]}
    batch = mask_features(Batch(history, ones, ones, None), jax.random.key(0))
    found = {name: np.asarray(ids) for name, ids in batch.history.items()}
    assert (found[ITEM] == 1).all()
    row = (found["rating"] == 0).all(axis=1)
    np.testing.assert_array_equal(row, (found["age"] == 0).all(axis=1))
    assert not found["user_age"][row].any()
    for shares in (row, found["rating"][~row] == 0, found["age"][~row] == 0):
        assert abs(shares.mean() - MASK_RATE) < 0.04
    assert (found["rating"][~row] != found["age"][~row]).any()


def test_the_random_keys_of_a_step_are_distinct():
    keys = step_keys(jax.random.key(0))
    different = {tuple(jax.random.key_data(key).tolist()) for key in keys}
    assert len(different) == len(keys) == 4


def test_the_objective_is_the_weighted_sum_of_head_losses():
    head = HeadSpec("rating", 1.0, (1.0, 2.0, 4.0))
    model, batch, key = make_model("bow", heads=(head,)), make_batch(2), jax.random.key(0)
    batch = batch._replace(labels={"rating": batch.targets % 4})
    graphdef, params = nnx.split(model, nnx.Param)
    sampler = make_sampler(TrainConfig(loss="full-softmax"), COUNTS)
    plain = partial(loss, history_length=5)

    def total(weight: float) -> jax.Array:
        schema = Schema(SIZE, 6, (), (replace(head, weight=weight),))
        return Objective(graphdef, schema, plain, sampler)(params, batch, key)

    prepared = add_candidates(batch, all_items(SIZE))
    losses = plain(model, prepared, step_keys(key).dropout)
    assert losses["rating"] > 0
    for weight in (0.0, 0.25, 1.0):
        expected = losses[ITEM] + weight * losses["rating"]
        np.testing.assert_allclose(total(weight), expected, rtol=1e-6)
