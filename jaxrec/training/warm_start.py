"""Warm start: training that starts from the parameters of an earlier run on an older log.

Known items and feature values keep their ids, and new ones stand behind them. Each parameter with a
row per id is copied row by row; all others are copied whole.
"""

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Int

from jaxrec.config.experiment import Config
from jaxrec.config.fields import differing_flags
from jaxrec.data.dataset import Dataset
from jaxrec.data.feature_values import bucket_ids, representative_numbers
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.known_ids import NOTHING_KNOWN, KnownIds
from jaxrec.errors import UserError
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.earlier_run import data_differences, finished_run
from jaxrec.schema import ITEM, PAD, UNKNOWN, Feature
from jaxrec.training.checkpoint import has_checkpoint, read_model
from jaxrec.training.sparse_rows import ITEM_TABLES
from jaxrec.training.step import name_of

# Settings that need not be the same: no parameter has a shape that depends on them.
_FREE_DATA = (
    "history_length",
    "target_weight",
    "rating",
    "keep_seen",
    "validation_users",
    "test_users",
)
_FREE_MODEL = ("dropout", "id_dropout")

NEW = -1
"""The row of an id that the earlier run does not have."""

Rows = Mapping[str, Int[np.ndarray, " n"]]
"""The row of the earlier run for each row of a parameter, by the name of the parameter."""


def start_of(config: Config, directory: RunDirectory) -> RunDirectory | None:
    """Return the directory of the run whose parameters a run starts from.

    Args:
        directory: of the run itself.

    Returns:
        The directory; None if the run starts from random parameters, or from its checkpoint.

    Raises:
        UserError: the earlier run is not finished, or does not fit the configuration.
    """
    path = config.train.from_run
    if path is None or has_checkpoint(directory.checkpoints):
        return None
    return _earlier_run(path, config)


def _earlier_run(path: str, config: Config) -> RunDirectory:
    if config.data.split == "random-pairs":
        raise UserError(
            "--from-run and --split=random-pairs exclude each other: the earlier run may have been "
            "trained on the test targets of this one; give another --split"
        )
    source = finished_run("--from-run", path)
    earlier = source.config()
    alike = replace(earlier.model, **{name: getattr(config.model, name) for name in _FREE_MODEL})
    different = data_differences(earlier.data, config.data, *_FREE_DATA)
    different += differing_flags(alike, config.model)
    if different:
        raise UserError(
            f"--from-run={path} does not fit ({'; '.join(different)}); give its settings to this "
            "run, or omit --from-run"
        )
    return source


def known_ids(config: Config, directory: RunDirectory, *, overwrite: bool = False) -> KnownIds:
    """Read the ids that a run keeps: its own once it has begun, or else those that it starts from.

    Args:
        directory: of the run itself.
        overwrite: whether the run that is in the directory will be removed.

    Raises:
        UserError: as `start_of`.
    """
    if config.train.from_run is None:
        return NOTHING_KNOWN
    if directory.is_begun and not overwrite:
        return directory.known_ids()
    source = _earlier_run(config.train.from_run, config)
    return source.known_ids(forgets_items=config.train.forget_items)


def continue_model(
    model: RecommenderModel, dataset: Dataset, source: RunDirectory
) -> RecommenderModel:
    """Return a model with the parameters of an earlier run.

    A new item has the embedding of its features, or else the zero vector; a new value of another
    feature has that of unknown values.

    Args:
        model: the initialized model of the data set.
        source: the directory of the earlier run.
    """
    earlier = read_model(source.checkpoints, source.schema(), source.config().model)
    graphdef, initial = nnx.split(model, nnx.Param)
    rows = rows_by_parameter(dataset, source.known_ids())
    params = renumber(nnx.split(earlier, nnx.Param)[1], initial, rows)
    is_new_R = jnp.asarray(rows["bias"] == NEW)
    return _start_new_items(nnx.merge(graphdef, params), dataset, is_new_R)


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
    if feature.values == known.values:
        return np.arange(feature.size + 1)
    if feature.kind == "number":
        return bucket_ids(known, representative_numbers(feature, np.arange(feature.size + 1)))
    ids = {value: i for i, value in enumerate(known.values, start=1)}
    return np.array([UNKNOWN, *(ids.get(value, UNKNOWN) for value in feature.values)])


def renumber(earlier: nnx.State, initial: nnx.State, rows: Rows) -> nnx.State:
    """Return parameters of an earlier run with the ids and the shapes of a later one.

    Args:
        initial: the initial parameters of the later run. NEW rows are taken from them, and so is a
            parameter of a head whose number of labels has changed.
    """
    named = {name_of(path): leaf for path, leaf in jax.tree.leaves_with_path(earlier)}

    def convert(path: tuple, leaf: jax.Array) -> jax.Array:
        name = name_of(path)
        if name not in rows:
            return named[name] if named[name].shape == leaf.shape else leaf
        is_new = jnp.asarray(rows[name] == NEW).reshape(-1, *[1] * (leaf.ndim - 1))
        return jnp.where(is_new, leaf, named[name][rows[name]])

    return jax.tree.map_with_path(convert, initial)


def _start_new_items(
    model: RecommenderModel, dataset: Dataset, is_new_R: Bool[jax.Array, " R"]
) -> RecommenderModel:
    """Remove the random embeddings of new items, and set their biases to those of their features.

    Returns:
        The same model, modified in place.
    """
    for table in [model.activities.tables[ITEM], *([] if model.is_tied else [model.candidates])]:
        table[...] = jnp.where(is_new_R[:, None], 0, table[...])
    if model.item_features is not None:
        biases_R = model.item_features.item_biases(ids_by_name(dataset.item_features))
        model.bias[...] = jnp.where(is_new_R, biases_R, model.item_bias)
    return model
