"""Distillation: a loss whose targets are partly the softmax of finished runs."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Int

from jaxrec.config.experiment import Config
from jaxrec.config.fields import refuse_unused
from jaxrec.data.batching import Batch
from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset
from jaxrec.errors import UserError
from jaxrec.models.activities import sum_of
from jaxrec.models.model import PAD_BIAS, RecommenderModel
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.earlier_run import data_differences, finished_run
from jaxrec.schema import ITEM, PAD
from jaxrec.training.checkpoint import read_folded_model
from jaxrec.training.defaults import teacher_weight
from jaxrec.training.objective import Loss, Losses, logit_factors
from jaxrec.training.processes import is_leader
from jaxrec.training.renumbering import NEW, renumber, rows_by_parameter
from jaxrec.training.softmax import LogitFactors, SoftmaxLabels, softmax_loss
from jaxrec.training.sparse_rows import gather, item_tables, pad, with_tables


class Teacher(NamedTuple):
    """A trained model whose softmax is a part of the targets.

    Attributes:
        model: with the parameters of its best epoch and item features folded into its tables.
        history_length: of its histories, N.
        is_known_R: False for an item that the model was not trained with; None: it knows all.
    """

    model: RecommenderModel
    history_length: int
    is_known_R: Bool[jax.Array, " R"] | None = None

    def gather(self, rows_T: Int[jax.Array, " T"]) -> "Teacher":
        """Return a teacher whose item tables have the given rows alone."""
        is_known_T = self.is_known_R
        if is_known_T is not None:
            is_known_T = is_known_T.at[rows_T].get(mode="fill", fill_value=False)
        graphdef, params = nnx.split(self.model, nnx.Param)
        params = with_tables(params, gather(item_tables(params), rows_T))
        return self._replace(model=nnx.merge(graphdef, params), is_known_R=is_known_T)

    def pad(self, rows: int) -> "Teacher":
        """Return a teacher whose item tables are padded to a number of rows."""
        is_known_R = self.is_known_R
        if is_known_R is not None:
            is_known_R = jnp.pad(is_known_R, (0, rows - len(is_known_R)))
        graphdef, params = nnx.split(self.model, nnx.Param)
        tables = {name: pad(name, table, rows) for name, table in item_tables(params).items()}
        params = with_tables(params, tables)
        return self._replace(model=nnx.merge(graphdef, params), is_known_R=is_known_R)

    def logit_factors(self, batch: Batch) -> LogitFactors:
        """Return the factors of the teacher's logits of a batch's targets and candidates.

        Items that it does not know are padding in its histories, and have no share of its softmax.
        An unknown target has a logit so high that the softmax is the target itself.
        """
        if batch.item_rows is not None:
            self = self.gather(batch.item_rows)
        width, history = batch.targets.shape[1], batch.history
        if self.is_known_R is not None:
            items = jnp.where(self.is_known_R[history[ITEM]], history[ITEM], PAD)
            history = {**history, ITEM: items}
        query_WBD = self.model.encode_positions(history, width, self.history_length)
        factors = logit_factors(self.model, query_WBD, batch)
        if self.is_known_R is None:
            return factors
        is_known_WB = self.is_known_R[batch.targets.T]
        biases_WB = jnp.where(is_known_WB, factors.target_bias_WB, -PAD_BIAS)
        return factors._replace(target_bias_WB=biases_WB)


def distill(loss: Loss, teachers: Sequence[Teacher], weight: float = 0.5) -> Loss:
    """Return a loss whose targets are partly the softmax of teachers (Hinton et al., 2015).

    The logits of several teachers are averaged. An item that one of them does not know counts as
    unknown to all.

    Args:
        weight: of the teachers in each target distribution.
    """

    def distilled(model: RecommenderModel, batch: Batch, key: jax.Array | None) -> Losses:
        teacher = mean_logits([each.logit_factors(batch) for each in teachers])

        def item_loss(factors: LogitFactors, labels: SoftmaxLabels) -> jax.Array:
            return softmax_loss(factors, labels._replace(teacher_weight=weight), teacher)

        return loss(model, batch, key, item_loss=item_loss)

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

    A run of `--from-run` is the teacher if no other is given, unless its weight is 0.

    Raises:
        UserError: one is no finished run, or was trained on other data, which may contain the
            targets that this run is evaluated on.
    """
    teachers, source = config.train.teacher, config.train.from_run
    if teachers is None:
        if source is None:
            refuse_unused(config.train, "--teacher or --from-run", "teacher_weight")
            return []
        # `known_ids` has checked that its data fits.
        return [finished_run("--from-run", source)] if teacher_weight(config.train) else []
    directories = [finished_run("--teacher", path) for path in teachers.split(",")]
    for directory in directories:
        earlier = directory.config().data
        if different := data_differences(earlier, config.data, "history_length"):
            raise UserError(
                f"--teacher={directory.path} was trained on other data ({'; '.join(different)}); "
                "give its flags to this run, or train it again"
            )
    return directories


def read_teachers(config: Config, dataset: Dataset) -> list[Teacher]:
    """Load the teachers of a run, and print a line on each that does not know all items.

    Raises:
        UserError: as `directories_of_teachers`, or one is damaged or knows no item of the data set.
    """
    flag = "--from-run" if config.train.teacher is None else "--teacher"
    directories = directories_of_teachers(config)
    return [
        _read_teacher(f"{flag}={each.path}", each, dataset, config.data) for each in directories
    ]


def _read_teacher(flag: str, directory: RunDirectory, dataset: Dataset, run: DataConfig) -> Teacher:
    vocabulary, config = dataset.vocabulary, directory.config()
    known = directory.known_ids(flag)
    known.require_type_of(vocabulary.values)
    if run.split == "random-pairs" and known.vocabulary.digest != vocabulary.digest:
        raise UserError(
            f"{flag} has other items: the data has changed, and --split={run.split} has put "
            "other targets into the test; train it again"
        )
    rows = rows_by_parameter(dataset, known)
    graphdef, params = nnx.split(read_folded_model(directory), nnx.Param)
    model, is_known_R = nnx.merge(graphdef, renumber(params, rows)), rows["bias"] != NEW
    count = int(is_known_R[PAD + 1 :].sum())
    if count == 0:
        raise UserError(
            f"{flag} knows none of the items: it has {known.vocabulary.values[0]!r:.40}, and the "
            f"log has {vocabulary.values[0]!r:.40}; give a teacher that does"
        )
    if count == vocabulary.size:
        return Teacher(model, config.data.history_length)
    if is_leader():
        print(f"  {flag} knows {count:,} of {vocabulary.size:,} items; targets teach the others")
    model.bias[...] = jnp.where(is_known_R, model.item_bias, PAD_BIAS)
    return Teacher(model, config.data.history_length, jnp.asarray(is_known_R))
