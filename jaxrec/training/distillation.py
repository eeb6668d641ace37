"""Distillation: learn a finished run's softmax over the candidates beside the targets."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Int

from jaxrec.config.experiment import Config, differences
from jaxrec.data.batching import Batch
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.errors import UserError
from jaxrec.models.folding import fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.objective import Loss, Losses, logit_factors
from jaxrec.training.softmax import LogitFactors, softmax_loss
from jaxrec.training.sparse_rows import gather, item_tables, pad, with_tables


class Teacher(NamedTuple):
    """A trained model.

    Attributes:
        model: with the parameters of its best epoch, and the features of items in its tables.
        history_length: how many activities its histories have, N.
    """

    model: RecommenderModel
    history_length: int

    def gather(self, rows_T: Int[jax.Array, " T"]) -> "Teacher":
        """Return a teacher whose item tables hold some rows alone."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        params = with_tables(params, gather(item_tables(params), rows_T))
        return self._replace(model=nnx.merge(graphdef, params))

    def pad(self, rows: int) -> "Teacher":
        """Return a teacher whose item tables have rows of no item behind the others."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        tables = {name: pad(name, table, rows) for name, table in item_tables(params).items()}
        return self._replace(model=nnx.merge(graphdef, with_tables(params, tables)))

    def logit_factors(self, batch: Batch) -> LogitFactors:
        """Return what its logits of a batch's targets and candidates are computed from."""
        if batch.item_rows is not None:
            self = self.gather(batch.item_rows)
        width = batch.targets.shape[1]
        query_WBD = self.model.encode_positions(batch.history, width, self.history_length)
        return logit_factors(self.model, query_WBD, batch)


def distill(loss: Loss, teacher: Teacher) -> Loss:
    """Return a loss whose targets are in part what a teacher thinks (Hinton et al., 2015)."""

    def distilled(model: RecommenderModel, batch: Batch, key: jax.Array | None) -> Losses:
        item_loss = partial(softmax_loss, teacher=teacher.logit_factors(batch))
        return loss(model, batch, key, item_loss=item_loss)

    return distilled


def directory_of_teacher(config: Config) -> RunDirectory | None:
    """Find what a run is to learn from; its N may be another.

    Raises:
        UserError: it is no finished run, or knows other data: it might have learned the targets
            that this run is judged by.
    """
    if config.train.teacher is None:
        return None
    directory = RunDirectory(Path(config.train.teacher))
    if not directory.is_finished:
        raise UserError(f"--teacher={directory.path} is no finished run; train it first")
    data = replace(directory.config().data, history_length=config.data.history_length)
    if different := differences(replace(config, data=data), config):
        raise UserError(
            f"--teacher={directory.path} learned from other data ({'; '.join(different)}); give "
            "its flags to this run, or train it anew"
        )
    return directory


def read_teacher(config: Config, dataset: Dataset) -> Teacher | None:
    """Read what a run is to learn from, if anything.

    Raises:
        UserError: `directory_of_teacher` says no, it knows other items, or it is damaged.
    """
    directory = directory_of_teacher(config)
    if directory is None:
        return None
    if directory.vocabulary().digest != dataset.vocabulary.digest:
        raise UserError(
            f"--teacher={directory.path} knows other items: the data has changed; train it anew"
        )
    of_teacher = directory.config()
    model = read_model(directory.checkpoints, directory.schema(), of_teacher.model)
    folded = fold_features(model, ids_by_name(directory.item_features()))
    return Teacher(folded, of_teacher.data.history_length)
