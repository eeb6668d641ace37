"""Dataset: a log of any source, prepared for training."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int32

from jaxrec.data.activity_features import (
    EncodedFeature,
    activity_features,
    moment_features,
    user_features,
)
from jaxrec.data.data_config import DataConfig
from jaxrec.data.events import target_mask
from jaxrec.data.feature_names import feature_names
from jaxrec.data.head_labels import encode_labels
from jaxrec.data.interactions import ITEM_COLUMNS, Interactions
from jaxrec.data.item_features import ItemFeature, item_features
from jaxrec.data.known_ids import NOTHING_KNOWN, KnownIds
from jaxrec.data.log_summary import LogSummary, summarize_log
from jaxrec.data.ordered import OrderedLog, order_log
from jaxrec.data.rating_scale import RatingScale, rating_scale, ratings_of
from jaxrec.data.splits import (
    Period,
    Split,
    sample_users,
    split_at_period,
    split_timelines,
    train_on_validation,
)
from jaxrec.data.target_weights import target_weights
from jaxrec.data.timelines import Timelines
from jaxrec.data.vocabulary import Vocabulary, build_vocabulary
from jaxrec.errors import UserError
from jaxrec.schema import ITEM, PAD, Feature, HeadSpec, Schema


@dataclass(frozen=True, eq=False)
class Dataset:
    """Timelines, their split, and the meaning of their ids.

    Attributes:
        catalogue: description of each item, in the order of the ids: `item` (raw), `title`,
            `genres`, `year`; null where unknown, V rows.
        log_summary: summary of the rows of the log.
        item_features: features that add to item embeddings.
        features: features of activities, users and moments in the timelines, beside the item.
        heads: the heads beside that of the next item ...
        labels: ... and the label id of each activity by head name, [n].
        weights: the target weight of each position, with a mean of one over the training targets,
            [n]; None: all are equal.
        ratings: the rating of each position on the log's own scale, NaN where it has none, [n];
            None: the log has none.
        rating_scale: scale of all rows, including dropped ones; None: no two ratings differ.
    """

    timelines: Timelines
    split: Split
    vocabulary: Vocabulary
    catalogue: pl.DataFrame
    log_summary: LogSummary
    item_features: tuple[ItemFeature, ...] = ()
    features: tuple[Feature, ...] = ()
    heads: tuple[HeadSpec, ...] = ()
    labels: Mapping[str, Int32[np.ndarray, " n"]] = field(default_factory=dict)
    weights: Float32[np.ndarray, " n"] | None = None
    ratings: Float32[np.ndarray, " n"] | None = None
    rating_scale: RatingScale | None = None

    @property
    def validation_users(self) -> int:
        """Number of users with validation targets."""
        return len(np.unique(self.timelines.users_of(self.split.validation)))

    def schema(self, width: int) -> Schema:
        """Return the schema of the items, features and heads, with vectors of width D."""
        of_items = tuple(each.feature for each in self.item_features)
        return Schema(self.vocabulary.size, width, (*of_items, *self.features), self.heads)


def prepare(interactions: Interactions, config: DataConfig, *, seed: int) -> Dataset:
    """Build a dataset from a log in memory.

    Raises:
        UserError: the filters or the split leave too few interactions.
    """
    log = order_log(interactions, config.filters, config.break_ties)
    return make_dataset(log, config, seed=seed)


def make_dataset(
    log: OrderedLog,
    config: DataConfig,
    *,
    seed: int,
    known: KnownIds = NOTHING_KNOWN,
    period: Period | None = None,
) -> Dataset:
    """Build a dataset from an ordered log: split it, and assign the item ids.

    Args:
        known: the ids of an earlier run, which are kept.
        period: the period to split the log at; None: the split of the configuration.

    Raises:
        UserError: the split leaves too few targets, or the configuration or the earlier run does
            not fit the log.
    """
    if log.catalogue.height < 2:
        # The notes may name the cause: ids that a spreadsheet has made equal.
        notes = f" (note: {'; '.join(log.notes)})" if log.notes else ""
        raise UserError(
            f"the log has a single item, {log.catalogue['item'][0]!r}, so there is nothing to "
            f"recommend; give a log of two or more{notes}"
        )
    # Item ids depend on the training targets, and the split on times and events alone. So the log
    # is split first, on timelines whose items still have the numbers of the ordered log.
    timelines_by_number = Timelines({ITEM: log.items}, log.offsets, log.timestamps)
    is_target = target_mask(log, config)
    split = _split(timelines_by_number, config, is_target, seed, period)
    weights = target_weights(log, is_target, split.is_training_target, config)
    catalogue = known.add_items(log.catalogue)
    vocabulary, rows = build_vocabulary(
        catalogue["item"], log.items, split.is_training_target, known.vocabulary.values
    )
    catalogue = catalogue[rows]
    ids = np.empty(len(rows) + 1, np.int32)
    ids[PAD], ids[rows + 1] = PAD, np.arange(1, len(rows) + 1)
    of_items = item_features(catalogue, feature_names(config, "item"), known.item_features)
    left = 1 + np.flatnonzero(rows >= log.catalogue.height)
    timelines, features = encode_timelines(log, ids[log.items], config, known.features)
    return Dataset(
        timelines,
        split,
        vocabulary,
        catalogue.select(ITEM_COLUMNS),
        summarize_log(log, features, config),
        known.describe_items(of_items, vocabulary.values, left),
        tuple(each for each, _ in features),
        *encode_labels(log.columns, config.requested_heads(), known.heads),
        weights,
        ratings_of(log.columns),
        rating_scale(ratings_of(log.source)),
    )


def encode_timelines(
    log: OrderedLog,
    items: Int32[np.ndarray, " n"],
    config: DataConfig,
    known: Mapping[str, Feature],
) -> tuple[Timelines, list[EncodedFeature]]:
    """Encode the activities of a log, and the features of activities, users and moments.

    Args:
        items: the id of each activity's item.
        known: the features of an earlier run by name, whose values keep their ids.

    Raises:
        UserError: a feature does not fit the log.
    """
    of_activities = activity_features(log, config, known)
    of_users = user_features(log, config, known)
    of_moments = moment_features(log, config)
    timelines = Timelines(
        {ITEM: items} | {each.name: ids for each, ids in of_activities},
        log.offsets,
        log.timestamps,
        {each.name: ids for each, ids in of_users},
        log.ticks_per_second,
        {each.name: ids for each, ids in of_moments},
    )
    return timelines, [*of_activities, *of_users, *of_moments]


def _split(
    timelines: Timelines,
    config: DataConfig,
    is_target: Bool[np.ndarray, " n"],
    seed: int,
    period: Period | None,
) -> Split:
    """Split timelines as configured, or at a period."""
    if period is None:
        split = split_timelines(timelines, config.split, seed=seed, is_target=is_target)
    else:
        fewest = config.filters.min_user_interactions
        split = split_at_period(timelines, period, min_interactions=fewest, is_target=is_target)
    if config.train_on_validation:
        split = train_on_validation(timelines, split, is_target)
    counts = {"validation": config.validation_users, "test": config.test_users}
    return sample_users(timelines, split, seed=seed, **counts)
