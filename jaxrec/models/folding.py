"""Folding: what the features of items say becomes a part of the item tables, as a file has them."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool

from jaxrec.models.items import ItemIds
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, PAD


def fold_features(
    model: RecommenderModel,
    item_ids: ItemIds,
    is_id_kept_R: Bool[jax.Array, " R"] | None = None,
) -> RecommenderModel:
    """Add what the features of items say to the item tables, and forget the features.

    Args:
        item_ids: the values of each item, by feature.
        is_id_kept_R: an item whose ID is not kept has the vector and the bias of its features
            alone; None keeps every ID.

    Returns:
        The same model, changed.
    """
    if model.item_features is None:
        return model
    features_RD = model.item_features.vectors(item_ids)
    tables = [model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])]
    for table in tables:
        own_RD = table[...]
        if is_id_kept_R is not None:
            own_RD = jnp.where(is_id_kept_R[:, None], own_RD, 0)
        table[...] = own_RD + features_RD
    if is_id_kept_R is not None:
        is_kept_R = is_id_kept_R.at[PAD].set(True)
        biases_R = model.item_features.item_biases(item_ids)
        model.bias[...] = jnp.where(is_kept_R, model.item_bias, biases_R)
    model.item_features = None
    return model


def append_items(
    model: RecommenderModel, item_ids: ItemIds, boost: float = 0.0
) -> RecommenderModel:
    """Add items behind the others that are known by their features alone; forget the features.

    Args:
        item_ids: the values of all items, old and new.
        boost: what is added to the scores of the new ones.

    Returns:
        The same model, changed.
    """
    old = model.item_bias.shape[0]
    size = len(next(iter(item_ids.values())))
    padding = ((0, size - old), (0, 0))
    tables = model.activities.tables
    tables[ITEM] = nnx.Param(jnp.pad(tables[ITEM][...], padding))
    if not model.is_tied:
        model.candidates = nnx.Param(jnp.pad(model.candidates[...], padding))
    model.bias = nnx.Param(jnp.pad(model.item_bias, padding[0]))
    for head in model.heads.values():
        for name in head.item_parameters:
            setattr(head, name, nnx.Param(jnp.pad(getattr(head, name)[...], padding[0])))
    fold_features(model, item_ids, jnp.arange(size) < old)
    model.bias[...] = model.item_bias.at[old:].add(boost)
    return model
