"""Warm start: training that starts from the parameters of an earlier run on an older log.

Known items and feature values keep their ids, and new ones stand behind them.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrec.config.experiment import Config
from jaxrec.config.fields import differing_flags, refuse_unused
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.known_ids import NOTHING_KNOWN, KnownIds
from jaxrec.errors import UserError
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.earlier_run import data_differences, finished_run
from jaxrec.training.checkpoint import has_checkpoint, read_model
from jaxrec.training.renumbering import NEW, renumber, rows_by_parameter

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
        refuse_unused(config.train, "--from-run", "forget_items")
        return NOTHING_KNOWN
    flag = f"--from-run={config.train.from_run}"
    if directory.is_begun and not overwrite:
        return directory.known_ids(flag)
    source = _earlier_run(config.train.from_run, config)
    return source.known_ids(flag, forgets_items=config.train.forget_items)


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
    rows = rows_by_parameter(dataset, source.known_ids("--from-run"))
    initial_bias_R = model.item_bias
    graphdef, initial = nnx.split(model, nnx.Param)
    params = renumber(nnx.split(earlier, nnx.Param)[1], rows)
    # A head whose labels have become more has other shapes: these parameters start anew.
    params = jax.tree.map(
        lambda mine, other: other if other.shape == mine.shape else mine, initial, params
    )
    model, is_new_R = nnx.merge(graphdef, params), jnp.asarray(rows["bias"] == NEW)
    biases_R = initial_bias_R
    if model.item_features is not None:
        biases_R = model.item_features.item_biases(ids_by_name(dataset.item_features))
    model.bias[...] = jnp.where(is_new_R, biases_R, model.item_bias)
    return model
