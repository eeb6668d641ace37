"""Samplers of negatives that a configuration selects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.config.experiment import TrainConfig
from jaxrec.training.negatives import make_sampler


def test_log_uniform_negatives_follow_the_counts_in_any_order_of_the_ids():
    """With --from-run, small ids are not the popular ones."""
    item_counts = np.array([0, 5, 0, 90, 40])
    config = TrainConfig(sampler="log-uniform", negatives=100_000)
    ids, log_expected, _ = make_sampler(config, item_counts)(
        jax.random.key(0), jnp.ones((1, 1), int)
    )
    by_popularity = [3, 4, 1, 2]
    for rank, item in enumerate(by_popularity, start=1):
        share = np.log((rank + 1) / rank) / np.log(5)
        assert np.mean(ids == item) == pytest.approx(share, rel=0.03)
        expected = np.exp(np.asarray(log_expected)[np.asarray(ids) == item][0])
        assert expected == pytest.approx(100_000 * share, rel=1e-4)
