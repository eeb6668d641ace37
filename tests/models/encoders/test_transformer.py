"""The transformer: its equations by hand, its numerics, and its exported file."""

from functools import partial
from itertools import accumulate

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxrec.conversion.flatbuffer import read_facts
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.models.encoders.transformer import Transformer, TransformerConfig, norm, running_sum
from jaxrec.runtime import Recommender
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.bundles import make_bundle, save_bundle
from tests.small_models import SIZE, initialize_randomly, make_model

WIDTH = 4


def transformer(blocks=1, heads=2, width=WIDTH):
    """Build a transformer with random parameters, for activities of width 3."""
    return initialize_randomly(
        partial(Transformer, 3, width, TransformerConfig(blocks, heads)), seed=1
    )


def activities_of(length, batch=1):
    return jax.random.normal(jax.random.key(2), (batch, length, 3))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_norm_by_hand():
    """The result has a mean square of one; zeros stay zeros."""
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    expected = np.array([[3.0, 4.0], [0.0, 0.0]]) / np.sqrt(12.5)
    np.testing.assert_allclose(norm(vectors), expected, rtol=1e-6)


def test_a_block_by_hand():
    """Compute the equations for three activities in NumPy, one head and one key at a time."""
    encoder, x_3E = transformer(), activities_of(3)
    (block,) = encoder.blocks

    def linear(layer, x):
        return x @ np.array(layer.kernel) + (0 if layer.bias is None else np.array(layer.bias))

    def normed(x):
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)

    x = linear(encoder.projection, np.array(x_3E[0]))
    n = normed(x)
    fades = sigmoid(linear(block.fade, n))
    query, key, value = (linear(layer, n) for layer in (block.query, block.key, block.value))
    found = []
    for head, columns in enumerate((slice(0, 2), slice(2, 4))):
        # An activity is attenuated by its own fade and the fades between it and the last one.
        logits = [
            query[2, columns] @ key[k, columns] / np.sqrt(2) - sum(fades[k:2, head])
            for k in range(3)
        ]
        weights = np.exp(logits) / np.exp(logits).sum()
        found += (weights @ value[:, columns]).tolist()
    y = x[2] + sigmoid(linear(block.output_gate, n[2])) * linear(block.output, np.array(found))
    n = normed(y)
    up = linear(block.up_gate, n)
    up = up * sigmoid(up) * linear(block.up, n)
    y = y + sigmoid(linear(block.down_gate, n)) * linear(block.down, up)
    read = normed(y) * np.array(encoder.scale)
    expected = np.concatenate([read, x_3E[0, 2], np.array(x_3E[0]).mean(axis=0)])
    valid = jnp.ones((1, 3))
    last = jax.jit(encoder.encode_last)(x_3E, valid)
    np.testing.assert_allclose(last[0], expected, rtol=1e-5, atol=1e-6)
    by_position = jax.jit(encoder.encode_positions, static_argnums=2)(x_3E, valid > 0, 3)
    np.testing.assert_allclose(by_position[0, 2], expected, rtol=1e-5, atol=1e-6)


def test_heads_are_initialized_with_different_half_lives():
    """Of equal activities, the weight halves after 2 in the first head and after 50 in the last."""
    config = TransformerConfig(blocks=1, heads=3)
    fade = nnx.jit(lambda: Transformer(3, 6, config, rngs=nnx.Rngs(0)))().blocks[0].fade
    kept = np.exp(-sigmoid(np.array(fade.bias)))
    np.testing.assert_allclose(kept ** np.array([2, 10, 50]), 0.5, rtol=1e-5)


@pytest.mark.parametrize("length", [10, 50, 200])
def test_encode_positions_matches_encode_last_on_long_histories(length):
    """Any history length agrees; at 200 the precision still suffices for a proof."""
    encoder, batch = transformer(blocks=3, width=16), 4
    kept = np.array([1, 3, length // 2, length])
    mask = jnp.asarray(np.arange(length) >= length - kept[:, None])
    x = jnp.where(mask[..., None], activities_of(length, batch), 0)
    by_position = jax.jit(encoder.encode_positions, static_argnums=2)(x, mask, length)
    last = jax.jit(encoder.encode_last)(x, mask.astype(jnp.float32))
    np.testing.assert_allclose(by_position[:, -1], last, rtol=1e-5, atol=1e-5)


def test_gradients_are_finite_at_masked_positions():
    """They are also finite for zero vectors, which have no direction to normalize."""
    encoder = transformer(blocks=2)

    @jax.jit
    @jax.grad
    def by_activities(x, mask):
        x = jnp.where(mask[..., None], x, 0)
        return jnp.where(mask[..., None], encoder.encode_positions(x, mask, 3), 0).sum()

    mask = jnp.array([[False, True, False, True, True, False]])
    gradient = by_activities(activities_of(6), mask)
    assert jnp.isfinite(gradient).all()
    assert (jnp.abs(gradient).max(axis=-1) > 0).tolist() == mask.tolist()
    gradient_without_activities = jax.jit(
        jax.grad(lambda x: encoder.encode_positions(x, jnp.zeros_like(mask), 3).sum())
    )
    assert jnp.isfinite(gradient_without_activities(jnp.zeros((1, 6, 3)))).all()


@pytest.mark.parametrize("length", [1, 10, 33, 200])
def test_a_sequential_running_sum_keeps_its_precision(monkeypatch, length):
    """Nearly equal summands are rounded in the same direction, so errors would add up."""

    def one_by_one(x, axis):
        return jnp.stack(list(accumulate(jnp.moveaxis(x, axis, 0))), axis)

    monkeypatch.setattr(jnp, "cumsum", one_by_one)
    fades = np.full((2, length, 1), 0.0052, np.float32)
    fades[1] *= np.random.default_rng(0).random((length, 1), np.float32)
    exact = np.cumsum(fades.astype(np.float64), axis=1)
    np.testing.assert_allclose(running_sum(jnp.asarray(fades)), exact, rtol=1e-6)


@pytest.mark.slow
def test_a_file_of_long_histories_agrees_in_page_and_python(browser, tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    items = [f"item {number}" for number in range(SIZE)]
    model = make_model("transformer", hidden_units=12)
    bundle = make_bundle(model, Shapes(1, 200, 20, 4, True), items)
    weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    # Each weight is stored once, and no constant grows with the square of N.
    assert read_facts(bundle.graph).weight_bytes < 4 * weights + 4000
    path = save_bundle(bundle, tmp_path / "model.tflite")
    with site(tmp_path / "site", path) as served:
        page = browser.new_page()
        open_page(page, served.url)
        tap_cards(page, 3, 7, 1)
        expected = Recommender.load(path).recommend([items[3], items[7], items[1]], 10)
        assert recommended_items(page)[:10] == [str(each.item) for each in expected]
        page.close()
