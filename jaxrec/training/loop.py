"""The training loop: evaluation and a checkpoint after each epoch, and early stopping."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxrec.config.experiment import Config
from jaxrec.data.batching import TrainingBatches
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ItemFeature, ids_by_name
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.evaluation.ranking import Scorer, model_scorer, rank
from jaxrec.models.folding import fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import (
    Progress,
    open_checkpoints,
    restore_best,
    restore_latest,
    save,
)
from jaxrec.training.defaults import (
    max_epochs,
    peak_learning_rate,
    teacher_weight,
    window_shape_of,
)
from jaxrec.training.distillation import Teacher, distill
from jaxrec.training.learner import make_learner
from jaxrec.training.objective import make_objective
from jaxrec.training.processes import by_leader, from_leader, is_leader
from jaxrec.training.sharding import (
    batch_shard,
    make_mesh,
    padded_rows,
    shard_batch,
    shard_state,
    unshard_state,
)
from jaxrec.training.step import Dispatch, TrainState, make_dispatch, rate_schedule
from jaxrec.training.windows import training_batches

STOP_ON = "ndcg@10"


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model.

    Attributes:
        graphdef: the model's structure, for nnx.merge with `params`.
        params: the parameters of the best epoch on validation; of the last epoch in a final fit.
        epochs: the metrics of each epoch, as in metrics.jsonl.
        progress: the progress at the end of training.
    """

    graphdef: nnx.GraphDef[RecommenderModel]
    params: nnx.State
    epochs: list[dict[str, Any]]
    progress: Progress


def train(
    model: RecommenderModel,
    dataset: Dataset,
    config: Config,
    directory: RunDirectory,
    teachers: Sequence[Teacher] = (),
    *,
    model_shards: int = 1,
) -> Trained:
    """Train a model to the end, from the latest checkpoint in the run directory if there is one.

    Args:
        teachers: models whose softmax is a part of the targets.
        model_shards: number of devices over which the item tables are sharded.

    Raises:
        UserError: the loss is not finite, or a checkpoint does not fit.
    """
    graphdef, params = nnx.split(model, nnx.Param)
    shape = window_shape_of(dataset, config.data, config.train)
    mesh = make_mesh(shape.batch_multiple, model_shards)
    batches = training_batches(dataset, config.data, config.train, batch_shard(mesh))
    total_steps = max_epochs(config.train) * batches.steps_per_epoch
    rows = dataset.vocabulary.size + 1
    padded = padded_rows(rows, mesh)
    objective = make_objective(graphdef, dataset, config, padded)
    if teachers:
        teachers = [teacher.pad(padded or rows) for teacher in teachers]
        weight = teacher_weight(config.train)
        objective = replace(objective, loss=distill(objective.loss, teachers, weight))
    peak = peak_learning_rate(config, shape)
    schedule = rate_schedule(peak, config.train, total_steps)
    learner = make_learner(objective, config.train, schedule)
    state, progress = learner.init(params), Progress()

    by_leader(lambda: directory.checkpoints.mkdir(parents=True, exist_ok=True))
    with open_checkpoints(directory.checkpoints, read_only=not is_leader()) as checkpoints:
        restored = restore_latest(checkpoints, state)
        if restored:
            state, progress = restored
        state = shard_state(state, mesh, rows)
        epochs = directory.metrics(progress.step)
        dispatch = make_dispatch(learner, config.train.seed)
        with (
            _open_board(directory, progress) as board,
            tqdm(
                total=total_steps,
                initial=progress.step,
                unit="step",
                disable=None if is_leader() else True,
            ) as bar,
        ):
            while not _is_finished(progress, config):
                state, line = _train_epoch(dispatch, state, batches, mesh, progress.epoch, bar)
                started = time.perf_counter()
                unsharded = unshard_state(state, mesh, rows)
                scorer = model_scorer(*folded(graphdef, unsharded.params, dataset.item_features))
                validation = _validate(scorer, dataset, config.data)
                line["validation_seconds"] = time.perf_counter() - started
                # Processes may round differently, but must stop at the same epoch.
                score = from_leader(validation[STOP_ON])
                progress = _advance(progress, line, score, config.data.train_on_validation)
                line["validation"] = validation
                epochs.append(line)
                if board is not None:
                    # Metrics first: a run killed between the two repeats the epoch and its line.
                    directory.write_metrics(epochs)
                    # A final fit keeps its last epoch, whatever the score.
                    keeps_last = config.data.train_on_validation
                    selection_score = float(line["epoch"]) if keeps_last else score
                    save(checkpoints, unsharded, progress, selection_score)
                    _report_epoch(line, config, board, bar)
        # The result of all processes except the leader is discarded.
        best = restore_best(checkpoints, params) if is_leader() else params
        return Trained(graphdef, best, epochs, progress)


def _open_board(directory: RunDirectory, progress: Progress) -> AbstractContextManager[Any]:
    """Return a TensorBoard writer as a context; one of None in all processes except the leader."""
    if not is_leader():
        return nullcontext()
    # Events after the checkpoint, from a run that was killed, are hidden.
    return SummaryWriter(str(directory.tensorboard), purge_step=progress.step + 1)


def folded(
    graphdef: nnx.GraphDef[RecommenderModel], params: nnx.State, features: Sequence[ItemFeature]
) -> tuple[nnx.GraphDef[RecommenderModel], nnx.State]:
    """Return the same model with item features folded into its tables."""
    return nnx.split(fold_features(nnx.merge(graphdef, params), ids_by_name(features)), nnx.Param)


def _is_finished(progress: Progress, config: Config) -> bool:
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= max_epochs(config.train) or waited >= config.train.patience


def _train_epoch(
    dispatch: Dispatch,
    state: TrainState,
    batches: TrainingBatches,
    mesh: Mesh,
    epoch: int,
    bar: tqdm,
) -> tuple[TrainState, dict[str, Any]]:
    """Run one epoch; the host checks the losses of a dispatch while the next one runs.

    Returns:
        The next state, and the epoch's line for metrics.jsonl.
    """
    losses: list[float] = []
    started = time.perf_counter()
    first_step = epoch * batches.steps_per_epoch
    # One dispatch runs while the host gathers the next batch and reads the losses of the last.
    running: jax.Array | None = None
    for number in range(batches.dispatches_per_epoch):
        batch = batches.dispatch(epoch * batches.dispatches_per_epoch + number)
        state, launched = dispatch(state, shard_batch(batch, mesh))
        done = (number + 1) / batches.dispatches_per_epoch
        losses += _finite(running, first_step + len(losses))
        running = launched
        seconds = time.perf_counter() - started
        bar.set_postfix_str(
            f"loss {np.mean(losses[-len(batch.targets) :] or np.nan):.3f}, "
            f"{done * batches.targets_per_epoch / seconds:,.0f} targets/s"
        )
        bar.update(len(batch.targets))
    losses += _finite(running, first_step + len(losses))
    seconds = time.perf_counter() - started
    return state, {
        "epoch": epoch + 1,
        "step": first_step + len(losses),
        "loss": float(np.mean(losses)),
        "targets": batches.targets_per_epoch,
        "seconds": seconds,
    }


def _finite(losses: jax.Array | None, first_step: int) -> list[float]:
    """Return the losses of a dispatch, fetched from the device.

    Raises:
        UserError: a loss is not finite; the message names its step.
    """
    fetched = [] if losses is None else np.asarray(losses).tolist()
    for offset, loss in enumerate(fetched):
        if not np.isfinite(loss):
            raise UserError(
                f"the loss is {loss} at step {first_step + offset + 1}; start again with a lower "
                "--learning-rate or --clip-norm (the last checkpoint is still good)"
            )
    return fetched


def _validate(scorer: Scorer, dataset: Dataset, config: DataConfig) -> dict[str, float]:
    ranking = rank(scorer, dataset, dataset.split.validation, config, coverage=False)
    return means(target_values(ranking.ranks))


def _advance(progress: Progress, line: dict[str, Any], score: float, keeps_last: bool) -> Progress:
    epoch, step = line["epoch"], line["step"]
    if keeps_last or score > progress.best_score:
        return Progress(epoch, step, best_epoch=epoch, best_score=score)
    return replace(progress, epoch=epoch, step=step)


def _report_epoch(line: dict[str, Any], config: Config, board: SummaryWriter, bar: tqdm) -> None:
    """Print one line for an epoch, and write its metrics to TensorBoard."""
    validation, speed = line["validation"], line["targets"] / line["seconds"]
    bar.write(
        f"epoch {line['epoch']:>3}/{max_epochs(config.train)}  loss {line['loss']:.4f}  "
        f"{'trained-on ' if config.data.train_on_validation else ''}"
        f"validation recall@10 {validation['recall@10']:.4f}  "
        f"ndcg@10 {validation['ndcg@10']:.4f}  {speed:,.0f} targets/s"
    )
    board.add_scalar("train/loss", line["loss"], line["step"])
    board.add_scalar("train/targets_per_s", speed, line["step"])
    for name, value in validation.items():
        board.add_scalar(f"validation/{name}", value, line["step"])
    board.flush()
