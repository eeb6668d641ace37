"""Trained models: models of finished runs, which rank and recommend the items of a newer log."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from flax import nnx
from jaxtyping import Bool, Int

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import encode_timelines
from jaxrec.data.ordered import OrderedLog, select_rows
from jaxrec.data.timelines import Timelines
from jaxrec.data.vocabulary import index_items
from jaxrec.errors import UserError
from jaxrec.evaluation.churn import CHURN_AT
from jaxrec.evaluation.metrics import missed_rank
from jaxrec.evaluation.ranking import Scorer, model_scorer, rank_positions
from jaxrec.runs.directory import VOCABULARY, RunDirectory
from jaxrec.schema import UNKNOWN, Feature
from jaxrec.training.checkpoint import read_folded_model


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """The model of a finished run, for a log that has all of its items.

    Attributes:
        scorer: the model.
        features: its features of activities, users and moments, by name.
        numbers: the number of each of its items in the log, in the order of the ids, [V].
        config: the settings of its data.
    """

    scorer: Scorer
    features: Mapping[str, Feature]
    numbers: Int[np.ndarray, " V"]
    config: DataConfig

    def knows(self, log: OrderedLog) -> Bool[np.ndarray, " n"]:
        """Return a mask of the activities whose item is known to the model."""
        is_known = np.zeros(log.catalogue.height + 1, bool)
        is_known[self.numbers] = True
        return is_known[log.items]

    def rank_targets(
        self, log: OrderedLog, targets: Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """Rank the items at some positions of a log, after the known items of their user before.

        Returns:
            The rank of each target among the items of the model, [n]; beyond every k for a target
            whose item is unknown.
        """
        size, is_known = len(self.numbers), self.knows(log)
        is_row = is_known & (log.timestamps <= log.timestamps[targets].max())
        ranks = np.full(len(targets), missed_rank(size), np.int32)
        positions = (np.cumsum(is_row) - 1)[targets[is_known[targets]]]
        if len(positions):
            timelines = self._encode(select_rows(log, is_row, self.numbers))
            ranked = rank_positions(self.scorer, timelines, size, positions, self.config)
            ranks[is_known[targets]] = ranked.ranks
        return ranks

    def recommend(
        self, log: OrderedLog, users: Int[np.ndarray, " U"], time: float
    ) -> Int[np.ndarray, "U 10"]:
        """Recommend to some users at a time, after their known items before it.

        Args:
            users: in ascending order.

        Returns:
            The numbers of items in the log, best first; zeros at the end of a short list, and for
            a user without known items.
        """
        is_row = self.knows(log) & (log.timestamps < time)
        counts = np.add.reduceat(is_row, log.offsets[:-1], dtype=np.int64)
        has_list = counts[users] > 0
        lists = np.zeros((len(users), CHURN_AT), np.int64)
        if has_list.any():
            timelines = self._encode(_with_moment(select_rows(log, is_row, self.numbers), time))
            # The users of the selected log are those with known items.
            places = (np.cumsum(counts > 0) - 1)[users[has_list]]
            positions = timelines.offsets[1:][places] - 1
            size, top = len(self.numbers), min(CHURN_AT, len(self.numbers))
            ranked = rank_positions(self.scorer, timelines, size, positions, self.config, top=top)
            lists[has_list, :top] = np.append(0, self.numbers)[ranked.lists]
        return lists

    def _encode(self, log: OrderedLog) -> Timelines:
        """Return the timelines of a log whose items have the ids of the model as numbers."""
        timelines, _ = encode_timelines(log, log.items, self.config, self.features)
        sizes = {name: each.size for name, each in self.features.items()}

        def without_new(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {
                name: np.where(ids > sizes.get(name, len(self.numbers)), np.int32(UNKNOWN), ids)
                for name, ids in features.items()
            }

        activities, users = without_new(timelines.activities), without_new(timelines.users)
        return replace(timelines, activities=activities, users=users)


def load_model(run: RunDirectory, log: OrderedLog) -> TrainedModel:
    """Load the model of a finished run.

    Raises:
        UserError: the log lacks items of the run.
    """
    items = run.vocabulary().values
    numbers = index_items(items.cast(pl.String), log.catalogue["item"].cast(pl.String))
    if not numbers.all():
        raise UserError(
            f"{run.path / VOCABULARY} has items that the log lacks: the data has changed; start "
            "again with --overwrite"
        )
    scorer = model_scorer(*nnx.split(read_folded_model(run), nnx.Param))
    features = {each.name: each for each in run.schema().input_features}
    return TrainedModel(scorer, features, numbers, run.config().data)


def _with_moment(log: OrderedLog, time: float) -> OrderedLog:
    """Append an activity at a time to each user's, so that features of the moment are of it."""
    ends, users = log.offsets[1:], np.arange(len(log.offsets))
    rows = np.insert(np.arange(len(log.items)), ends, ends - 1)
    timestamps = log.timestamps[rows]
    timestamps[ends + users[:-1]] = time
    return replace(
        log,
        items=log.items[rows],
        offsets=log.offsets + users,
        timestamps=timestamps,
        columns=log.columns[rows] if log.columns.width else log.columns,
    )
