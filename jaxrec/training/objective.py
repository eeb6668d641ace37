"""The objective that training minimizes: a pure function of parameters, batch and key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from jaxrec.config.experiment import Config
from jaxrec.data.batching import Batch
from jaxrec.data.dataset import Dataset
from jaxrec.data.item_features import ids_by_name
from jaxrec.models.items import ItemIds
from jaxrec.models.model import RecommenderModel
from jaxrec.schema import ITEM, Schema
from jaxrec.training.negatives import Sampler, make_sampler
from jaxrec.training.softmax import LogitFactors, SoftmaxLabels, softmax_loss
from jaxrec.training.transforms import add_candidates, drop_ids, mask_features

Losses = dict[str, Float[jax.Array, ""]]
Loss = Callable[..., Losses]


def loss(
    model: RecommenderModel,
    batch: Batch,
    key: jax.Array | None,
    *,
    history_length: int,
    item_loss: Callable[[LogitFactors, SoftmaxLabels], Float[jax.Array, ""]] = softmax_loss,
) -> Losses:
    """Return the loss of the next item, under the name `item`, and of each head.

    Args:
        model: with item features folded into its item table.
        batch: B windows with their candidates.
        key: for dropout; None disables dropout.
        history_length: number of activities in the history of a target, N.
        item_loss: loss of the next item.
    """
    targets_WB, weights_WB, candidates = batch.targets.T, batch.weights.T, batch.candidates
    query_WBD = model.encode_positions(batch.history, len(targets_WB), history_length, key)
    factors = logit_factors(model, query_WBD, batch)
    labels = SoftmaxLabels(targets_WB, weights_WB, candidates.ids_S, candidates.excluded_BS)
    losses = {ITEM: item_loss(factors, labels)}
    for name, head in model.heads.items():
        target = factors.target_WBD, head.rows(targets_WB)
        losses[name] = head.loss(query_WBD, *target, batch.labels[name].T)
    return losses


def logit_factors(
    model: RecommenderModel, query_WBD: Float[jax.Array, "W B D"], batch: Batch
) -> LogitFactors:
    """Gather the embeddings and biases of a batch's targets and candidates."""
    table_RD, bias_R = model.item_table, model.item_bias
    targets_WB, candidates = batch.targets.T, batch.candidates
    targets = table_RD[targets_WB], bias_R[targets_WB]
    if candidates.log_expected_S is None:
        return LogitFactors(query_WBD, *targets, table_RD, bias_R)
    candidates_SD, bias_S = table_RD[candidates.ids_S], bias_R[candidates.ids_S]
    return LogitFactors(query_WBD, *targets, candidates_SD, bias_S - candidates.log_expected_S)


class StepKeys(NamedTuple):
    """The random keys of a step, one per use."""

    negatives: jax.Array
    dropout: jax.Array
    id_dropout: jax.Array
    mask: jax.Array


def step_keys(key: jax.Array) -> StepKeys:
    """Split the key of a step into all of its uses: folding it as well would repeat some keys."""
    return StepKeys(*jax.random.split(key, len(StepKeys._fields)))


@dataclass(frozen=True, eq=False)
class Objective:
    """The training objective: candidates, transforms, the loss, and its sum over the heads.

    Attributes:
        graphdef: structure of the model.
        schema: has the heads with their weights.
        loss: function of a model, a batch with candidates, and a key for dropout.
        sampler: draws candidates.
        item_ids: the value ids of each item by feature, as `fold_features` takes them.
        id_dropout: share of the items whose IDs are dropped in a step.
    """

    graphdef: nnx.GraphDef[RecommenderModel]
    schema: Schema
    loss: Loss
    sampler: Sampler
    item_ids: ItemIds = field(default_factory=dict)
    id_dropout: float = 0.0

    def __call__(self, params: nnx.State, batch: Batch, key: jax.Array) -> Float[jax.Array, ""]:
        """Return the weighted sum of the losses of all heads."""
        keys = step_keys(key)
        return self.evaluate(params, self.prepare(batch, keys), keys)

    def prepare(self, batch: Batch, keys: StepKeys) -> Batch:
        """Return a batch with its candidates, and with some features masked."""
        batch = add_candidates(batch, self.sampler(keys.negatives, batch.targets))
        return mask_features(batch, keys.mask)

    def evaluate(self, params: nnx.State, batch: Batch, keys: StepKeys) -> Float[jax.Array, ""]:
        """Return the weighted sum of the losses of all heads on a prepared batch."""
        item_ids = self.item_ids
        if batch.item_rows is not None:
            item_ids = {name: jnp.asarray(ids)[batch.item_rows] for name, ids in item_ids.items()}
        model = nnx.merge(self.graphdef, params)
        model = drop_ids(model, item_ids, self.id_dropout, keys.id_dropout)
        losses = self.loss(model, batch, keys.dropout)
        weights = {ITEM: 1.0} | {head.name: head.weight for head in self.schema.heads}
        return jnp.stack([weights[name] * value for name, value in losses.items()]).sum()


def make_objective(
    graphdef: nnx.GraphDef[RecommenderModel],
    dataset: Dataset,
    config: Config,
    padded_rows: int | None = None,
) -> Objective:
    """Build the objective of a data set.

    Args:
        padded_rows: number of rows of sharded item tables; None if they are not sharded.
    """
    schema = dataset.schema(config.model.embedding_dim)
    padding = ((0, (padded_rows or schema.rows) - schema.rows), (0, 0))
    item_ids = ids_by_name(dataset.item_features)
    item_ids = {name: jnp.pad(ids, padding) for name, ids in item_ids.items()}
    return Objective(
        graphdef,
        schema,
        partial(loss, history_length=config.data.history_length),
        make_sampler(config.train, dataset.vocabulary.counts, padded_rows),
        item_ids,
        config.model.id_dropout,
    )
