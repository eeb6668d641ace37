"""Distillation: a loss whose targets are partly the softmax of finished runs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Int

from jaxrec.config.experiment import Config, differences
from jaxrec.data.batching import Batch
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.errors import UserError
from jaxrec.models.activities import sum_of
from jaxrec.models.folding import fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.objective import Loss, Losses, logit_factors
from jaxrec.training.softmax import LogitFactors, softmax_loss
from jaxrec.training.sparse_rows import gather, item_tables, pad, with_tables


class Teacher(NamedTuple):
    """A trained model whose softmax is a part of the targets.

    Attributes:
        model: with the parameters of its best epoch and item features folded into its tables.
        history_length: of its histories, N.
    """

    model: RecommenderModel
    history_length: int

    def gather(self, rows_T: Int[jax.Array, " T"]) -> "Teacher":
        """Return a teacher whose item tables have the given rows alone."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        params = with_tables(params, gather(item_tables(params), rows_T))
        return self._replace(model=nnx.merge(graphdef, params))

    def pad(self, rows: int) -> "Teacher":
        """Return a teacher whose item tables are padded to a number of rows."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        tables = {name: pad(name, table, rows) for name, table in item_tables(params).items()}
        return self._replace(model=nnx.merge(graphdef, with_tables(params, tables)))

    def logit_factors(self, batch: Batch) -> LogitFactors:
        """Return the factors of the teacher's logits of a batch's targets and candidates."""
        if batch.item_rows is not None:
            self = self.gather(batch.item_rows)
        width = batch.targets.shape[1]
        query_WBD = self.model.encode_positions(batch.history, width, self.history_length)
        return logit_factors(self.model, query_WBD, batch)


def distill(loss: Loss, teachers: Sequence[Teacher]) -> Loss:
    """Return a loss whose targets are partly the softmax of teachers (Hinton et al., 2015).

    The logits of several teachers are averaged.
    """

    def distilled(model: RecommenderModel, batch: Batch, key: jax.Array | None) -> Losses:
        factors = mean_logits([teacher.logit_factors(batch) for teacher in teachers])
        return loss(model, batch, key, item_loss=partial(softmax_loss, teacher=factors))

    return distilled


def mean_logits(factors: Sequence[LogitFactors]) -> LogitFactors:
    """Return factors of the mean of several logits, by concatenation along D."""
    queries, targets, target_biases, candidates, candidate_biases = zip(*factors, strict=True)
    return LogitFactors(
        jnp.concatenate(queries, axis=-1) / len(factors),
        jnp.concatenate(targets, axis=-1),
        sum_of(target_biases) / len(factors),
        jnp.concatenate(candidates, axis=-1),
        sum_of(candidate_biases) / len(factors),
    )


def directories_of_teachers(config: Config) -> list[RunDirectory]:
    """Return the directories of a run's teachers; their history lengths may differ.

    Raises:
        UserError: one is no finished run, or was trained on other data, which may contain the
            targets that this run is evaluated on.
    """
    teachers = config.train.teacher
    paths = [] if teachers is None else teachers.split(",")
    directories = [RunDirectory(Path(path)) for path in paths]
    for directory in directories:
        if not directory.is_finished:
            raise UserError(f"--teacher={directory.path} is not a finished run; train it first")
        data = replace(directory.config().data, history_length=config.data.history_length)
        if different := differences(replace(config, data=data), config):
            raise UserError(
                f"--teacher={directory.path} was trained on other data ({'; '.join(different)}); "
                "give its flags to this run, or train it again"
            )
    return directories


def read_teachers(config: Config, dataset: Dataset) -> list[Teacher]:
    """Load the teachers of a run.

    Raises:
        UserError: as `directories_of_teachers`, or one has other items or is damaged.
    """
    return [_read_teacher(each, dataset) for each in directories_of_teachers(config)]


def _read_teacher(directory: RunDirectory, dataset: Dataset) -> Teacher:
    if directory.vocabulary().digest != dataset.vocabulary.digest:
        raise UserError(
            f"--teacher={directory.path} has other items: the data has changed; train it again"
        )
    config = directory.config()
    model = read_model(directory.checkpoints, directory.schema(), config.model)
    folded = fold_features(model, ids_by_name(directory.item_features()))
    return Teacher(folded, config.data.history_length)
