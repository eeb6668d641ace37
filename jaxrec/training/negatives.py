"""Negatives: S items drawn for a whole batch, with the log of how often each is expected.

Every function draws with replacement, and gives the log of the expected number of copies of each id
among the S, which the loss needs as its correction.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxrec.config.experiment import SamplerName


class Negatives(NamedTuple):
    """Items that targets are compared with.

    Attributes:
        ids_S: repeats allowed.
        log_expected_S: log of the expected number of copies of each; None: they are the rows of the
            whole table, which are not looked up.
        met_BS: which of them do not compete with the targets of a row; None: all do.
    """

    ids_S: Int[jax.Array, " S"]
    log_expected_S: Float[jax.Array, " S"] | None
    met_BS: Bool[jax.Array, "B S"] | None = None


def everything(rows: int) -> Negatives:
    """Take every id once, PAD too: its bias keeps it out."""
    return Negatives(jnp.arange(rows), jnp.zeros(rows))


def whole_table(rows: int) -> Negatives:
    """Take the same in another way: a table that lies on several devices stays where it lies."""
    return Negatives(jnp.arange(rows), None)


def draw_negatives(
    key: jax.Array,
    sampler: SamplerName,
    count: int | None,
    targets: Int[jax.Array, "*positions"],
    log_popularity_R: Float[jax.Array, " R"],
) -> Negatives:
    """Draw `count` negatives by the named sampler; None draws none and takes everything.

    Args:
        log_popularity_R: log of each item's share of the training targets (`from_batch` needs it).
    """
    rows = log_popularity_R.shape[0]
    if count is None:
        return everything(rows)
    if sampler == "uniform":
        return uniform(key, count, rows - 1)
    if sampler == "log-uniform":
        return log_uniform(key, count, rows - 1)
    return from_batch(key, count, targets, log_popularity_R)


def uniform(key: jax.Array, count: int, size: int) -> Negatives:
    """Draw ids 1 to `size`, every one alike."""
    ids = jax.random.randint(key, (count,), 1, size + 1)
    return Negatives(ids, jnp.full((count,), jnp.log(count / size)))


def log_uniform(key: jax.Array, count: int, size: int) -> Negatives:
    """Draw id i with probability log((i + 1) / i) / log(size + 1): Zipf's law, popular ids first.

    TensorFlow's log_uniform_candidate_sampler, for ids that begin at one.
    """
    log_range = jnp.log(jnp.float32(size + 1))
    draws = jnp.exp(jax.random.uniform(key, (count,)) * log_range)
    # exp(u log(size + 1)) can round up to size + 1.
    ids = jnp.clip(draws.astype(jnp.int32), 1, size)
    probability = jnp.log1p(1 / ids.astype(jnp.float32)) / log_range
    return Negatives(ids, jnp.log(count * probability))


def from_batch(
    key: jax.Array,
    count: int,
    targets: Int[jax.Array, "*positions"],
    log_popularity_R: Float[jax.Array, " R"],
) -> Negatives:
    """Draw targets of the batch: popular items more often. A drawn PAD weighs nothing in the loss.

    As expected number of copies it takes the items' popularity over the whole training set.
    """
    ids = targets.reshape(-1)[jax.random.randint(key, (count,), 0, targets.size)]
    drawn = jnp.maximum(jnp.sum(ids != 0), 1).astype(jnp.float32)
    return Negatives(ids, jnp.log(drawn) + log_popularity_R[ids])
