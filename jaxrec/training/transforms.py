"""Transforms of a batch or a model before the loss, by a random key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from jaxrec.data.batching import Batch
from jaxrec.data.excluded_items import excluded_mask
from jaxrec.models.folding import fold_features
from jaxrec.models.items import ItemIds
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, UNKNOWN

# Share of rows in which all features but the item are masked, and share of single values that are
# masked: an app cannot always provide them. Masking costs no recall (experiments/studies/quality).
MASK_RATE = 0.1


class Candidates(NamedTuple):
    """Items that compete with every target of a batch.

    Attributes:
        ids_S: item ids, possibly repeated.
        log_expected_S: log of the expected number of copies of each, which is subtracted from its
            logit; None: the candidates are the whole item table, without a gather.
        excluded_BS: candidates that are excluded, because they are in the user's past; None: none.
    """

    ids_S: Int[jax.Array, " S"]
    log_expected_S: Float[jax.Array, " S"] | None
    excluded_BS: Bool[jax.Array, "B S"] | None = None


def add_candidates(batch: Batch, candidates: Candidates) -> Batch:
    """Return a batch with its candidates; those in a user's past are excluded for this user."""
    if batch.excluded is not None:
        excluded_BS = excluded_mask(batch.excluded, candidates.ids_S)
        candidates = candidates._replace(excluded_BS=excluded_BS)
    return batch._replace(excluded=None, candidates=candidates)


def mask_features(batch: Batch, key: jax.Array) -> Batch:
    """Return a batch with features set to UNKNOWN at random, in whole rows and value by value.

    The item is never masked.
    """
    row_key, *keys = jax.random.split(key, 1 + len(batch.history))
    size, kept = len(batch.history[ITEM]), 1 - MASK_RATE
    is_row_kept_B = jax.random.bernoulli(row_key, kept, (size,))
    history = dict(batch.history)
    for name, value_key in zip(sorted(history.keys() - {ITEM}), keys, strict=False):
        ids = history[name]
        is_kept = jax.random.bernoulli(value_key, kept, ids.shape)
        is_kept &= is_row_kept_B.reshape(size, *[1] * (ids.ndim - 1))
        history[name] = jnp.where(is_kept, ids, UNKNOWN)
    return batch._replace(history=history)


def drop_ids(
    model: RecommenderModel, item_ids: ItemIds, rate: float, key: jax.Array
) -> RecommenderModel:
    """Return a model with item features folded into its item table, and with ID dropout.

    An item whose ID is dropped is known by its features alone, as a new item is.

    Args:
        item_ids: the value ids of each item, by feature; if empty, the model is unchanged.
        rate: share of the items whose IDs are dropped.
    """
    if not item_ids:
        return model
    is_kept_R = jax.random.bernoulli(key, 1 - rate, (len(model.item_bias),))
    return fold_features(model, item_ids, is_kept_R)
