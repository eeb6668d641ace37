"""Dropout: its rate, its mean, and the independence of its masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrec.models.dropout import dropout
from tests.small_models import make_model


def test_the_dropout_of_a_configuration_is_kept():
    assert make_model("bow", dropout=0.3).dropout_rate == 0.3
    assert make_model("bow", dropout=0.0).dropout_rate == 0.0


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = jnp.ones((100, 1001))
    dropped = dropout(x, 0.2, jax.random.key(0))
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(dropout(x, 0.2, None), x)
    np.testing.assert_array_equal(dropout(x, 0.0, jax.random.key(0)), x)


def test_dropout_is_independent_between_neighbours():
    """Four entries share one draw of 32 bits, but are dropped independently."""
    kept = np.asarray(dropout(jnp.ones((4000, 4)), 0.5, jax.random.key(1))) > 0
    correlation = np.corrcoef(kept.T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=0.08)
