"""Checkpoints: the training state after each evaluation, written atomically by orbax.

Two are kept on disk: the latest, from which a run resumes, and the best on validation, which
evaluation and export read. Each has three items: `params` and `optimizer`, flat dictionaries keyed
by the path of each array, and `progress`, JSON.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from jaxrec.data.item_features import ids_by_name
from jaxrec.errors import UserError
from jaxrec.files import require_disk_space
from jaxrec.models.folding import fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.models.model_config import ModelConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.schema import Schema
from jaxrec.training.step import TrainState, name_of

Tree = TypeVar("Tree")

# Parts of the model that earlier versions saved under another name.
_RENAMED_PARTS = {"circumstances": "context_features"}


@dataclass(frozen=True)
class Progress:
    """The progress of training after an epoch.

    Attributes:
        epoch: number of completed epochs.
        step: number of completed steps.
        best_epoch: the epoch with the best validation score so far; the last epoch in a final fit,
            where the score does not select.
        best_score: the validation score of that epoch; higher is better.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_score: float = float("-inf")


def open_checkpoints(folder: Path, *, read_only: bool = False) -> ocp.CheckpointManager:
    """Open the checkpoints of a run; remove incomplete ones of a killed run.

    Use it as a context manager, which waits for the last write.

    Args:
        read_only: do not change anything on disk, for a run that is only evaluated or exported.

    Raises:
        UserError: the folder is missing and `read_only` is set.
    """
    if read_only and not folder.is_dir():
        raise UserError(f"{folder} is missing; train the run again")
    if not read_only:
        folder.mkdir(parents=True, exist_ok=True)
    keep = AnyPreservationPolicy([LatestN(1), BestN(get_metric_fn=_score, n=1)])
    options = ocp.CheckpointManagerOptions(
        preservation_policy=keep,
        best_fn=_score,
        cleanup_tmp_directories=not read_only,
        create=False,
        read_only=read_only,
        enable_async_checkpointing=False,
        # Each process is its own primary host: the leader writes without waiting for the others.
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=jax.process_index(),
            active_processes={jax.process_index()},
            barrier_sync_key_prefix=f"process{jax.process_index()}",
        ),
    )
    handlers = {
        "params": ocp.StandardCheckpointHandler(),
        "optimizer": ocp.StandardCheckpointHandler(),
        "progress": ocp.JsonCheckpointHandler(),
    }
    # orbax requires an absolute path.
    return ocp.CheckpointManager(folder.absolute(), options=options, item_handlers=handlers)


def has_checkpoint(folder: Path) -> bool:
    """Return whether a run has a complete checkpoint, a folder that is named by its step."""
    return folder.is_dir() and any(each.name.isdigit() for each in folder.iterdir())


def save(
    manager: ocp.CheckpointManager, state: TrainState, progress: Progress, score: float
) -> None:
    """Write a checkpoint atomically.

    Args:
        score: the checkpoint with the highest score is kept, and `restore_best` reads it.

    Raises:
        OSError: there is not enough disk space.
    """
    # Checked first: on a full disk, the threads of orbax would all fail at once.
    require_disk_space(Path(manager.directory), sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
    items = ocp.args.Composite(
        params=ocp.args.StandardSave(_as_local_arrays(_flatten(state.params))),
        optimizer=ocp.args.StandardSave(_as_local_arrays(_flatten(state.optimizer))),
        progress=ocp.args.JsonSave(asdict(progress)),
    )
    manager.save(progress.step, args=items, metrics={"score": score})


def restore_latest(
    manager: ocp.CheckpointManager, like: TrainState
) -> tuple[TrainState, Progress] | None:
    """Restore the latest checkpoint into the structure of `like`; None if there is none yet.

    Raises:
        UserError: the checkpoint is damaged or does not fit the model; the message names its path.
    """
    step = manager.latest_step()
    if step is None:
        return None
    params = _restore_item(manager, step, "params", like.params)
    optimizer = _restore_item(manager, step, "optimizer", like.optimizer)
    saved = manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))
    progress = Progress(**saved["progress"])
    return TrainState(params, optimizer, jax.numpy.int32(progress.step)), progress


def restore_best(manager: ocp.CheckpointManager, like: nnx.State) -> nnx.State:
    """Restore the parameters with the best validation score into the structure of `like`.

    Raises:
        UserError: there is none, or it is damaged or does not fit the model.
    """
    step = manager.best_step()
    if step is None:
        raise UserError(f"{manager.directory} contains no checkpoint; train the run again")
    return _restore_item(manager, step, "params", like)


def read_model(folder: Path, schema: Schema, config: ModelConfig) -> RecommenderModel:
    """Read the best model of a finished run, without changing anything on disk.

    Raises:
        UserError: as `restore_best`.
    """
    counts = np.zeros(schema.rows, np.int64)
    # Structure and shapes alone: the parameters are read from the checkpoint.
    model = nnx.eval_shape(lambda: RecommenderModel(schema, config, counts, rngs=nnx.Rngs(0)))
    graphdef, like = nnx.split(model, nnx.Param)
    # orbax warns that a manager that is opened read-only will not write.
    logging.disable(logging.WARNING)
    try:
        with open_checkpoints(folder, read_only=True) as checkpoints:
            return nnx.merge(graphdef, restore_best(checkpoints, like))
    finally:
        logging.disable(logging.NOTSET)


def read_folded_model(run: RunDirectory) -> RecommenderModel:
    """Read the best model of a finished run, with item features folded into its item tables.

    Raises:
        UserError: as `restore_best`, or another file of the run is damaged.
    """
    model = read_model(run.checkpoints, run.schema(), run.config().model)
    return fold_features(model, ids_by_name(run.item_features()))


def _score(metrics: Mapping[str, float]) -> float:
    return metrics["score"]


def _flatten(tree: Any) -> dict[str, jax.Array | jax.ShapeDtypeStruct]:
    """Return the arrays of a tree, or their shapes, by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {name_of(path): leaf for path, leaf in leaves}


def _as_local_arrays(arrays: dict[str, Any]) -> dict[str, Any]:
    """Convert arrays to NumPy in a multi-process run, where a process reads or writes alone."""
    if jax.process_count() == 1:
        return arrays

    def as_numpy(array: Any) -> np.ndarray:
        if isinstance(array, jax.ShapeDtypeStruct):
            return np.zeros(array.shape, array.dtype)
        return np.asarray(array)

    return {name: as_numpy(array) for name, array in arrays.items()}


def _restore_item(manager: ocp.CheckpointManager, step: int, item: str, like: Tree) -> Tree:
    path = manager.directory / str(step) / item
    # Restored onto one device, whatever the number and kind of devices that wrote it.
    device = SingleDeviceSharding(jax.local_devices()[0])
    wanted = _as_local_arrays(
        {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
            for name, leaf in _flatten(like).items()
        }
    )
    try:
        found = dict(manager.item_metadata(step)[item] or {})
        saved_names = {_current_name(name): name for name in found}
        mismatches = _mismatches({_current_name(name): found[name] for name in found}, wanted)
        if mismatches:
            raise UserError(
                f"{path} does not fit the configuration: {'; '.join(mismatches)}; give the flags "
                "it was trained with, or train it again with --overwrite"
            )
        saved = {saved_names[name]: leaf for name, leaf in wanted.items()}
        composite = ocp.args.Composite(**{item: ocp.args.StandardRestore(saved)})
        flat = manager.restore(step, args=composite)[item]
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} is damaged ({reason}); train the run again with --overwrite"
        ) from error
    leaves = [flat[saved_names[name]] for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _current_name(name: str) -> str:
    """Return the present name of an array of a checkpoint."""
    return ".".join(_RENAMED_PARTS.get(part, part) for part in name.split("."))


def _mismatches(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return a message for each array that is missing, unknown, or of another shape."""
    messages = [f"{name} is missing" for name in wanted.keys() - found.keys()]
    messages += [f"{name} is unknown" for name in found.keys() - wanted.keys()]
    messages += [
        f"{name} has shape {tuple(found[name].shape)}, not {wanted[name].shape}"
        for name in wanted.keys() & found.keys()
        if tuple(found[name].shape) != wanted[name].shape
    ]
    return sorted(messages)
