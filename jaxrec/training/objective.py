"""The objective: what a batch costs, a pure function of the model, rows, batch and key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from jaxrec.config.experiment import Config, SamplerName, TrainConfig
from jaxrec.data.batching import Batch
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.seen import met_in_batch
from jaxrec.models.activities import mask_of
from jaxrec.models.items import ItemIds
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, UNKNOWN, Schema
from jaxrec.training.losses import Rows, softmax_loss
from jaxrec.training.negatives import Negatives, draw_negatives, whole_table
from jaxrec.training.teacher import Teacher

# So often a training knows nothing of a history but its items, and so often it does not know a
# single value: what an app cannot tell is then nothing new. It costs nothing (docs/results.md).
UNKNOWN_SHARE = 0.1

# Where the configuration leaves it to us: a catalogue of so many items is compared with whole,
# a larger one through so many negatives.
SMALL_CATALOGUE = 5000
NEGATIVES = 512


def hide(history: Mapping[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
    """Take features other than the item for unknown, in whole rows and here and there."""
    row_key, *keys = jax.random.split(key, 1 + len(history))
    size, kept = len(history[ITEM]), 1 - UNKNOWN_SHARE
    is_row_kept_B = jax.random.bernoulli(row_key, kept, (size,))
    found = dict(history)
    for name, value_key in zip(sorted(history.keys() - {ITEM}), keys, strict=False):
        ids = history[name]
        is_kept = jax.random.bernoulli(value_key, kept, ids.shape)
        is_kept &= is_row_kept_B.reshape(size, *[1] * (ids.ndim - 1))
        found[name] = jnp.where(is_kept, ids, UNKNOWN)
    return found


def look_up(model: RecommenderModel, batch: Batch, negatives: Negatives) -> Rows:
    """Read the rows that a batch and its negatives name."""
    table_RD, bias_R = model.item_table, model.item_bias
    targets_WB = batch.targets.T
    return Rows(
        model.look_up(batch.history),
        table_RD[targets_WB],
        bias_R[targets_WB],
        negatives,
        *(
            (table_RD, bias_R)
            if negatives.log_expected_S is None
            else (table_RD[negatives.ids_S], bias_R[negatives.ids_S])
        ),
        {name: head.rows(targets_WB) for name, head in model.heads.items()},
    )


def loss(
    model: RecommenderModel,
    rows: Rows,
    batch: Batch,
    key: jax.Array | None,
    *,
    span: int,
    teacher: Teacher | None = None,
) -> dict[str, Float[jax.Array, ""]]:
    """Return the loss of the next item and of each head.

    Args:
        model: whose tables are not read: `rows` stand for them.
        rows: what `look_up` gives.
        batch: B windows, without the axis of a dispatch.
        key: for dropout; None drops nothing.
        span: how many activities a target's history has, N.
        teacher: whose opinion counts too.
    """
    mask_BL, count = mask_of(batch.history), batch.targets.shape[1]
    context_WBD = model.contexts(rows.features, mask_BL, count, span, key)
    taught = None
    if teacher is not None:
        rows_of_teacher = look_up(teacher.model, batch, rows.negatives)
        taught_WBD = teacher.model.contexts(rows_of_teacher.features, mask_BL, count, teacher.span)
        taught = taught_WBD, rows_of_teacher
    losses = {
        ITEM: softmax_loss(
            context_WBD, rows, batch.targets.T, batch.weights.T, rows.negatives.met_BS, taught
        )
    }
    for name, head in model.heads.items():
        labels_WB = batch.labels[name].T
        losses[name] = head.loss(context_WBD, rows.targets_WBD, rows.heads[name], labels_WB)
    return losses


@dataclass(frozen=True, eq=False)
class Objective:
    """What a training minimizes: a function of parameters, batch and key.

    Attributes:
        graphdef: the model's structure.
        schema: the heads, with their weights.
        sampler: where negatives come from ...
        negatives: ... and how many; None: every item is compared with.
        log_popularity_R: log of each item's share of the training targets.
        span: how many activities a target's history has, N.
        item_ids: the values of each item by feature, as `RecommenderModel.fold` takes them ...
        own_dropout: ... and the share of items that a step knows by them alone.
        teacher: whose opinion is learned too, if anybody's.
        cut_rows: how many rows the tables of items have where they are cut over devices, of which
            the last stand for no item; None: they are not cut.
    """

    graphdef: nnx.GraphDef[RecommenderModel]
    schema: Schema
    sampler: SamplerName
    negatives: int | None
    log_popularity_R: Float[jax.Array, " R"]
    span: int
    item_ids: ItemIds = field(default_factory=dict)
    own_dropout: float = 0.0
    teacher: Teacher | None = None
    cut_rows: int | None = None

    def __call__(self, params: nnx.State, batch: Batch, key: jax.Array) -> Float[jax.Array, ""]:
        """Draw negatives, look up, and add the losses up."""
        return self.cost(params, batch, self.draw(batch, key), key)

    def draw(self, batch: Batch, key: jax.Array) -> Negatives:
        """Draw what the targets are compared with, and tell which of it was met before them."""
        if self.negatives is None and self.cut_rows is not None:
            found = whole_table(self.cut_rows)
        else:
            drawn_from = (self.negatives, batch.targets, self.log_popularity_R)
            found = draw_negatives(jax.random.split(key)[0], self.sampler, *drawn_from)
        if batch.seen is None:
            return found
        return found._replace(met_BS=met_in_batch(batch.seen, found.ids_S))

    def cost(
        self,
        params: nnx.State,
        batch: Batch,
        negatives: Negatives,
        key: jax.Array,
        ids_T: Int[jax.Array, " T"] | None = None,
    ) -> Float[jax.Array, ""]:
        """Look up, and add the losses of the next item and of the heads up.

        Args:
            ids_T: the items whose rows the tables of items have; None: every item.
        """
        model, teacher, item_ids = nnx.merge(self.graphdef, params), self.teacher, self.item_ids
        if self.cut_rows is not None:
            padding = ((0, self.cut_rows - self.schema.rows), (0, 0))
            item_ids = {name: jnp.pad(ids, padding) for name, ids in item_ids.items()}
        if ids_T is not None:
            item_ids = {name: jnp.asarray(ids)[ids_T] for name, ids in item_ids.items()}
            teacher = teacher and teacher.of(ids_T)
        batch = batch._replace(history=hide(batch.history, jax.random.fold_in(key, 1)))
        if item_ids:
            own_key, size = jax.random.fold_in(key, 0), len(model.item_bias)
            is_kept = jax.random.bernoulli(own_key, 1 - self.own_dropout, (size,))
            model = model.fold(item_ids, is_kept)
        rows, dropout_key = look_up(model, batch, negatives), jax.random.split(key)[1]
        losses = loss(model, rows, batch, dropout_key, span=self.span, teacher=teacher)
        weights = {ITEM: 1.0} | {each.name: each.weight for each in self.schema.heads}
        return jnp.stack([weights[name] * value for name, value in losses.items()]).sum()


def negatives_of(config: TrainConfig, catalogue_size: int) -> int | None:
    """Give how many negatives are drawn in a step; None: every item is compared with."""
    is_small = catalogue_size <= SMALL_CATALOGUE
    if config.loss == "full-softmax" or (
        config.loss == "auto" and config.negatives is None and is_small
    ):
        return None
    return config.negatives or NEGATIVES


def about_negatives(config: TrainConfig, catalogue_size: int) -> list[str]:
    """Warn of negatives that are known to fail."""
    sampled = negatives_of(config, catalogue_size) is not None
    if config.sampler == "batch" and sampled and catalogue_size > SMALL_CATALOGUE:
        return [
            "warning: --sampler=batch alone is known to collapse on large catalogues: an item that "
            "is hardly ever a target is hardly ever a negative; --sampler=uniform does not"
        ]
    return []


def make_objective(
    graphdef: nnx.GraphDef[RecommenderModel],
    dataset: Dataset,
    config: Config,
    teacher: Teacher | None = None,
    cut_rows: int | None = None,
) -> Objective:
    """Say what is learned of a data set, and of a teacher; of tables that are cut, maybe."""
    if teacher is not None and cut_rows is not None:
        teacher = teacher.lengthened(cut_rows)
    return Objective(
        graphdef,
        dataset.schema(config.model.embedding_dim),
        config.train.sampler,
        negatives_of(config.train, dataset.vocabulary.size),
        log_popularity(dataset),
        config.data.history_length,
        ids_by_name(dataset.item_features),
        config.model.own_dropout,
        teacher,
        cut_rows,
    )


def log_popularity(dataset: Dataset) -> Float[jax.Array, " R"]:
    """Give the log of each item's share of the training targets; items without one count as 1."""
    counts = np.maximum(dataset.vocabulary.counts, 1)
    return jnp.asarray(np.log(counts / counts.sum()), jnp.float32)
