"""Folding of item features into the item tables, as an exported file stores them."""

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
    """Add the embeddings of item features to the item tables, and remove the features.

    Args:
        item_ids: the value ids of each item, by feature.
        is_id_kept_R: False for an item whose ID is dropped: its embedding and bias come from its
            features alone. None keeps every ID.

    Returns:
        The same model, modified in place.
    """
    if model.item_features is None:
        return model
    features_RD = model.item_features.vectors(item_ids)
    tables = [model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])]
    for table in tables:
        embedding_RD = table[...]
        if is_id_kept_R is not None:
            embedding_RD = jnp.where(is_id_kept_R[:, None], embedding_RD, 0)
        table[...] = embedding_RD + features_RD
    if is_id_kept_R is not None:
        is_kept_R = is_id_kept_R.at[PAD].set(True)
        biases_R = model.item_features.item_biases(item_ids)
        model.bias[...] = jnp.where(is_kept_R, model.item_bias, biases_R)
    model.item_features = None
    return model


def append_items(
    model: RecommenderModel, item_ids: ItemIds, boost: float = 0.0
) -> RecommenderModel:
    """Append items that are known by their features alone, and fold the features into the tables.

    Args:
        item_ids: the value ids of all items, existing ones first, by feature.
        boost: added to the scores of the new items.

    Returns:
        The same model, modified in place.
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
    add_to_scores(model, old, boost)
    return model


def add_to_scores(model: RecommenderModel, first_id: int, boost: float) -> None:
    """Add a constant to the scores of the items from an id on; the model is modified in place."""
    model.bias[...] = model.item_bias.at[first_id:].add(boost)
