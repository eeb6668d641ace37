"""The initial model of federated rounds, which is that of a finished run."""

import hashlib
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Int

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.evaluation.slices import slices
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.training.checkpoint import read_model
from jaxrec.training.fit import init_model
from jaxrec.training.step import name_of


@dataclass(frozen=True, eq=False)
class InitialModel:
    """The model before the first round.

    Attributes:
        digest: SHA-256 of the parameters and their names.
    """

    graphdef: nnx.GraphDef[Any]
    params: nnx.State
    digest: str


def load_initial_model(source: RunDirectory, dataset: Dataset, config: Config) -> InitialModel:
    """Load the model of a run, with the dropout that it was trained with.

    Args:
        dataset: a dataset with the vocabulary of the run.
    """
    graphdef, _ = nnx.split(init_model(dataset, config), nnx.Param)
    model = read_model(source.checkpoints, source.schema(), config.model)
    # The parameters may be spread over several devices; rounds run on one.
    params = jax.device_put(nnx.split(model, nnx.Param)[1], jax.devices()[0])
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(params):
        digest.update(name_of(path).encode() + np.asarray(leaf).tobytes())
    return InitialModel(graphdef, params, digest.hexdigest())


def rank_targets(
    model: InitialModel, dataset: Dataset, config: Config, positions: Int[np.ndarray, " n"]
) -> Ranks:
    """Rank the targets at the given positions of a dataset."""
    scorer = model_scorer(model.graphdef, model.params)
    ranking = rank(scorer, dataset, positions, config.data, coverage=False)
    targets = dataset.timelines.items[positions]
    return Ranks(ranking.users, targets, ranking.ranks, None, slices(dataset, positions))
