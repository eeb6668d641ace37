"""Teacher: a finished run whose opinion of every item another run learns beside its targets."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Int

from jaxrec.config.experiment import Config, differences
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.errors import UserError
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import read_model
from jaxrec.training.rows import by_item, lengthen, take, with_tables


class Teacher(NamedTuple):
    """A trained model.

    Attributes:
        model: with the parameters of its best epoch; what features say of the items is in its
            tables.
        span: how many activities its histories have, N.
    """

    model: RecommenderModel
    span: int

    def of(self, ids_T: Int[jax.Array, " T"]) -> "Teacher":
        """Give a teacher of some items alone."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        params = with_tables(params, take(by_item(params), ids_T))
        return self._replace(model=nnx.merge(graphdef, params))

    def lengthened(self, rows: int) -> "Teacher":
        """Give a teacher whose tables have rows of no item behind the others."""
        graphdef, params = nnx.split(self.model, nnx.Param)
        tables = {name: lengthen(name, each, rows) for name, each in by_item(params).items()}
        return self._replace(model=nnx.merge(graphdef, with_tables(params, tables)))


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
    folded = model.fold(ids_by_name(directory.item_features()))
    return Teacher(folded, of_teacher.data.history_length)
