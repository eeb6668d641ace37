"""Dataset: a log made ready for training, from whichever source."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32

from jaxrec.data.activity_features import activity_features, moment_features, user_features
from jaxrec.data.data_config import DataConfig
from jaxrec.data.events import are_targets
from jaxrec.data.feature_names import feature_names
from jaxrec.data.head_labels import number_labels
from jaxrec.data.intake import Intake, take_in
from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
from jaxrec.data.item_features import ItemFeature, item_features
from jaxrec.data.labels import target_weights
from jaxrec.data.ordered import OrderedLog, order
from jaxrec.data.rating_scale import RatingScale, rating_scale, ratings_of
from jaxrec.data.splits import Split, draw_users, learn_validation, split_timelines
from jaxrec.data.timelines import Timelines
from jaxrec.data.vocabulary import Vocabulary, order_items
from jaxrec.schema import ITEM, PAD, Feature, HeadSpec, Schema


@dataclass(frozen=True, eq=False)
class Dataset:
    """Timelines, their split, and what their ids mean.

    Attributes:
        catalogue: what is known of each id, in the order of the ids: `item` (raw), `title`,
            `genres`, `year`; null where unknown, [V] rows.
        intake: what became of the rows of the log.
        item_features: what adds to an item's vector.
        features: what the timelines have beside the item, of activities, users and moments.
        heads: what is predicted beside the next item ...
        labels: ... and the label id of each activity by the name of a head, [n].
        weights: what each position counts as a target in training, one in the mean of these, [n];
            None: all count the same.
        ratings: the rating of each position as the log has it, NaN where it has none, [n];
            None: the log has none.
        rating_scale: that of all rows, those that were dropped too; None: they tell nothing apart.
    """

    timelines: Timelines
    split: Split
    vocabulary: Vocabulary
    catalogue: pl.DataFrame
    intake: Intake
    item_features: tuple[ItemFeature, ...] = ()
    features: tuple[Feature, ...] = ()
    heads: tuple[HeadSpec, ...] = ()
    labels: Mapping[str, Int32[np.ndarray, " n"]] = field(default_factory=dict)
    weights: Float32[np.ndarray, " n"] | None = None
    ratings: Float32[np.ndarray, " n"] | None = None
    rating_scale: RatingScale | None = None

    def schema(self, width: int) -> Schema:
        """Say what is known of an activity, with vectors of a width, D."""
        of_items = tuple(each.feature for each in self.item_features)
        return Schema(self.vocabulary.size, width, (*of_items, *self.features), self.heads)


def prepare(interactions: Interactions, config: DataConfig, *, seed: int) -> Dataset:
    """Make a log that lies in memory ready for training.

    Raises:
        UserError: too little is left.
    """
    return make_dataset(order(interactions, config.filters), config, seed=seed)


def make_dataset(log: OrderedLog, config: DataConfig, *, seed: int) -> Dataset:
    """Split an ordered log, and give every item its id.

    Raises:
        UserError: too little is left.
    """
    # The ids follow from the training targets and the split from times and events alone, so the
    # split comes first, on timelines whose items have other numbers yet.
    numbered = Timelines({ITEM: log.items}, log.offsets, log.timestamps)
    is_target = are_targets(log, config)
    split = split_timelines(numbered, config.split, seed=seed, is_target=is_target)
    if config.final_fit:
        split = learn_validation(numbered, split, is_target)
    counts = {"validation": config.validation_users, "test": config.test_users}
    split = draw_users(numbered, split, seed=seed, **counts)
    weights = target_weights(log, is_target, split.is_training_target, config)
    vocabulary, rows = order_items(log.catalogue["item"], log.items, split.is_training_target)
    catalogue = log.catalogue[rows]
    ids = np.empty(len(rows) + 1, np.int32)
    ids[PAD], ids[rows + 1] = PAD, np.arange(1, len(rows) + 1)
    of_activities = activity_features(log, config)
    of_users = user_features(log, config)
    of_moments = moment_features(log, config)
    features = [*of_activities, *of_users, *of_moments]
    timelines = Timelines(
        {ITEM: ids[log.items]} | {each.name: ids for each, ids in of_activities},
        log.offsets,
        log.timestamps,
        {each.name: ids for each, ids in of_users},
        log.ticks_per_second,
        {each.name: ids for each, ids in of_moments},
    )
    return Dataset(
        timelines,
        split,
        vocabulary,
        catalogue.select(ITEM_COLUMNS),
        take_in(log, features, config),
        item_features(catalogue, feature_names(config, "item")),
        tuple(each for each, _ in features),
        *number_labels(log.columns, config.requested_heads()),
        weights,
        ratings_of(log.columns),
        rating_scale(ratings_of(log.source)),
    )
