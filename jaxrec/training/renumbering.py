"""Renumbering: parameters of an earlier run, with their rows at the ids of a later data set."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from jaxrec.data.dataset import Dataset
from jaxrec.data.feature_values import bucket_ids, representative_numbers
from jaxrec.data.known_ids import KnownIds
from jaxrec.schema import PAD, UNKNOWN, Feature
from jaxrec.training.sparse_rows import ITEM_TABLES
from jaxrec.training.step import name_of

NEW = -1
"""The row of an id that the earlier run does not have."""

Rows = Mapping[str, Int[np.ndarray, " n"]]
"""The row of the earlier run for each row of a parameter, by the name of the parameter."""


def rows_by_parameter(dataset: Dataset, known: KnownIds) -> Rows:
    """Return the rows of an earlier run for all parameters of a data set with rows per id."""
    of_items = np.append(PAD, known.vocabulary.encode(dataset.vocabulary.values))
    of_items[1:][of_items[1:] == PAD] = NEW
    rows = dict.fromkeys(ITEM_TABLES, of_items)
    for each in dataset.features:
        part = "activities" if each.of == "activity" else "context_features"
        rows[f"{part}.tables.{each.name}"] = feature_rows(each, known.features[each.name])
    for each in dataset.item_features:
        ids = {value: i for i, value in enumerate(known.item_features[each.name].values, start=1)}
        found = np.array([PAD, *(ids.get(value, NEW) for value in each.values)])
        rows[f"item_features.tables.{each.name}"] = found
        rows[f"item_features.biases.{each.name}"] = found
    return rows


def feature_rows(feature: Feature, known: Feature) -> Int[np.ndarray, " n"]:
    """Return the id in an earlier run of each id of a feature; UNKNOWN for a new value."""
    ids = np.arange(feature.size + 1, dtype=np.int32)
    if feature.kind != known.kind:
        return np.full_like(ids, UNKNOWN)
    if feature.values == known.values:
        return ids
    if feature.kind == "number":
        return bucket_ids(known, representative_numbers(feature, ids))
    known_ids = {value: i for i, value in enumerate(known.values, start=1)}
    return np.array([UNKNOWN, *(known_ids.get(value, UNKNOWN) for value in feature.values)])


def renumber(params: nnx.State, rows: Rows) -> nnx.State:
    """Return parameters of an earlier run with their rows at the ids of a later one; 0 if NEW."""

    def convert(path: Any, leaf: jax.Array) -> jax.Array:
        if (found := rows.get(name_of(path))) is None:
            return leaf
        is_new = jnp.asarray(found == NEW).reshape(-1, *[1] * (leaf.ndim - 1))
        return jnp.where(is_new, 0, leaf[found])

    return jax.tree.map_with_path(convert, params)
