"""Clipping: a bound on any finite update, and updates with numbers that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jaxrec.federated.clipping import clip

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=3, max_size=3), st.floats(2**-10, 2**10, width=32))
@example([0.0, 2.1267650467859854e37, 0.03125], 69.0)
@pytest.mark.filterwarnings("ignore:overflow")
def test_clipping_bounds_any_finite_update(numbers, bound):
    update = {"a": jnp.array(numbers[:2], jnp.float32), "b": jnp.array(numbers[2], jnp.float32)}
    clipped = clip(update, bound)
    result = np.array([*np.asarray(clipped.update["a"]), clipped.update["b"]], np.float64)
    unclipped = np.array(numbers, np.float64)
    norm = np.linalg.norm(unclipped)
    assert clipped.is_finite
    # Values that are subnormal after division by largest / 8, or in the result, become zero.
    atol = (1 + bound / 8) * np.finfo(np.float32).tiny
    np.testing.assert_allclose(
        result, unclipped * min(1, bound / max(norm, 1e-30)), rtol=1e-5, atol=atol
    )
    assert np.linalg.norm(result) <= bound * (1 + 1e-6)


def test_hostile_updates_by_hand():
    for worst in (np.nan, np.inf, -np.inf):
        clipped = clip({"a": jnp.array([3.0, worst]), "b": jnp.array([4.0])}, 1.0)
        assert not clipped.is_finite
        assert [leaf.tolist() for leaf in jax.tree.leaves(clipped.update)] == [[0, 0], [0]]
    clipped = clip({"a": jnp.array([3e38, 0]), "b": jnp.array([-3e38])}, 2.0)
    np.testing.assert_allclose(clipped.update["a"], [2**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(clipped.update["b"], [-(2**0.5)], rtol=1e-6)
    assert clipped.is_finite and clipped.is_shorter
