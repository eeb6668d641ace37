"""Dataset: a log made ready for training, from whichever source."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from jaxrec.config import DataConfig
from jaxrec.data.interactions import Interactions, keep_frequent
from jaxrec.data.movielens import MOVIELENS, load_movielens
from jaxrec.data.sequences import Timelines
from jaxrec.data.splits import Split, learn_validation, split_timelines
from jaxrec.data.synthetic import synthetic_world
from jaxrec.data.table import Columns, load_table
from jaxrec.data.vocabulary import Vocabulary, build_vocabulary
from jaxrec.errors import UserError
from jaxrec.features import ITEM


@dataclass(frozen=True)
class Dataset:
    """Timelines, their split, and what their ids mean.

    Attributes:
        catalogue: what is known of each id, in the order of the ids: `item` (raw), `title`,
            `genres`, `year`; null where unknown, [V] rows.
    """

    timelines: Timelines
    split: Split
    vocabulary: Vocabulary
    catalogue: pl.DataFrame

    @property
    def feature_sizes(self) -> dict[str, int]:
        """Number of values of each activity feature, PAD not counted."""
        return {ITEM: self.vocabulary.size}


def load_interactions(config: DataConfig, *, seed: int) -> Interactions:
    """Read the log that the configuration names.

    Raises:
        UserError: it is missing, unreadable or unknown.
    """
    name = config.dataset
    if name == "synthetic":
        return synthetic_world(
            users=config.synthetic_users, items=config.synthetic_items, seed=seed
        )
    if name in MOVIELENS:
        return load_movielens(name, Path(config.data_dir) if config.data_dir else None)
    if Path(name).suffix:
        columns = Columns(
            config.user_column, config.item_column, config.time_column, config.rating_column
        )
        return load_table(Path(name), columns, Path(config.items) if config.items else None)
    raise UserError(
        f"unknown --dataset={name}; give synthetic, {', '.join(MOVIELENS)}, or the path of a "
        ".csv or .parquet file"
    )


def prepare(interactions: Interactions, config: DataConfig, *, seed: int) -> Dataset:
    """Filter the log, order it by user and time, split it, and give every item its id.

    The sort is stable: activities of one moment keep the order of the source (an unstable sort
    changes up to a quarter of MovieLens's test targets).

    Raises:
        UserError: too little is left.
    """
    kept = keep_frequent(
        interactions,
        min_rating=config.min_rating,
        min_item_interactions=config.min_item_interactions,
        min_user_interactions=config.min_user_interactions,
    )
    log = kept.log.sort("user", "timestamp", maintain_order=True)
    lengths = log.group_by("user", maintain_order=True).len().get_column("len").to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    timestamps = log.get_column("timestamp").to_numpy()

    # The ids follow from the training targets and the split from the times alone, so the split
    # comes first, on timelines whose items are not numbered yet.
    unnumbered = Timelines({ITEM: np.zeros(log.height, np.int32)}, offsets, timestamps)
    split = split_timelines(unnumbered, config.split, seed=seed)
    if config.final_fit:
        split = learn_validation(unnumbered, split)
    vocabulary, ids = build_vocabulary(log.get_column("item"), split.is_training_target)
    catalogue = vocabulary.values.to_frame().join(
        kept.items, on="item", how="left", maintain_order="left"
    )
    return Dataset(Timelines({ITEM: ids}, offsets, timestamps), split, vocabulary, catalogue)
