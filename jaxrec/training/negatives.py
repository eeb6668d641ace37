"""Negatives: candidates that compete with the targets of a batch, sampled with replacement."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxrec.config.experiment import TrainConfig
from jaxrec.schema import PAD
from jaxrec.training.defaults import negative_count, sampler_name
from jaxrec.training.transforms import Candidates

Sampler = Callable[[jax.Array, Int[jax.Array, "B W"]], Candidates]
"""A function of a key and the targets of a batch that returns candidates."""


def make_sampler(
    config: TrainConfig, item_counts: Int[np.ndarray, " R"], padded_rows: int | None = None
) -> Sampler:
    """Return the sampler that the configuration selects.

    Args:
        item_counts: number of training targets with each id.
        padded_rows: number of rows of a sharded item table; None if it is not sharded.
    """
    size, log_popularity_R = len(item_counts) - 1, log_popularity(item_counts)
    count, source = negative_count(config, size), sampler_name(config, item_counts)
    by_popularity_V = jnp.asarray(1 + np.argsort(-item_counts[1:], kind="stable"), jnp.int32)

    def sample(key: jax.Array, targets_BW: Int[jax.Array, "B W"]) -> Candidates:
        if count is None:
            return all_items(size) if padded_rows is None else whole_table(padded_rows)
        if source == "batch":
            return from_batch(key, count, targets_BW, log_popularity_R)
        if source == "uniform":
            return uniform(key, count, size)
        ranked = log_uniform(key, count, size)
        return ranked._replace(ids_S=by_popularity_V[ranked.ids_S - 1])

    return sample


def all_items(size: int) -> Candidates:
    """Return every id once, including PAD, which its bias excludes."""
    return Candidates(jnp.arange(size + 1), jnp.zeros(size + 1))


def whole_table(rows: int) -> Candidates:
    """Return all rows of a sharded table; each device computes the logits of its own rows."""
    return Candidates(jnp.arange(rows), None)


def uniform(key: jax.Array, count: int, size: int) -> Candidates:
    """Sample ids 1 to `size` with equal probability."""
    ids_S = jax.random.randint(key, (count,), 1, size + 1)
    # Every item is expected count / size times.
    return Candidates(ids_S, jnp.full((count,), jnp.log(count / size)))


def log_uniform(key: jax.Array, count: int, size: int) -> Candidates:
    """Sample id i with probability log((i + 1) / i) / log(size + 1): Zipf's law, small ids first.

    The distribution of TensorFlow's log_uniform_candidate_sampler, for ids from one. With ids that
    are ordered by popularity, popular items are sampled more often.
    """
    log_range = jnp.log(jnp.float32(size + 1))
    # The inverse of the cumulative distribution, log(id) / log(size + 1).
    draws_S = jnp.exp(jax.random.uniform(key, (count,)) * log_range)
    # exp(u log(size + 1)) can round up to size + 1.
    ids_S = jnp.clip(draws_S.astype(jnp.int32), 1, size)
    probability_S = jnp.log1p(1 / ids_S.astype(jnp.float32)) / log_range
    return Candidates(ids_S, jnp.log(count * probability_S))


def from_batch(
    key: jax.Array,
    count: int,
    targets_BW: Int[jax.Array, "*positions"],
    log_popularity_R: Float[jax.Array, " R"],
) -> Candidates:
    """Sample targets of the batch, so popular items more often; PAD has no effect on the loss.

    The expected number of copies of an item follows from its share of all training targets.
    """
    targets_n = targets_BW.reshape(-1)
    ids_S = targets_n[jax.random.randint(key, (count,), 0, targets_n.size)]
    # Padding among the targets leaves fewer negatives than `count`.
    drawn = jnp.maximum(jnp.sum(ids_S != PAD), 1).astype(jnp.float32)
    return Candidates(ids_S, jnp.log(drawn) + log_popularity_R[ids_S])


def log_popularity(item_counts: Int[np.ndarray, " R"]) -> Float[jax.Array, " R"]:
    """Return the log of each item's share of the training targets; items without one count as 1."""
    counts = np.maximum(item_counts, 1)
    return jnp.asarray(np.log(counts / counts.sum()), jnp.float32)
