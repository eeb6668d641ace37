"""Logs of other populations of users, with items encoded by a run's vocabulary."""

from dataclasses import replace

import numpy as np
import polars as pl

from jaxrec.data.data_config import DataConfig
from jaxrec.data.dataset import Dataset, make_dataset, prepare
from jaxrec.data.interactions import Interactions
from jaxrec.data.known_ids import NOTHING_KNOWN
from jaxrec.data.sources.item_table import ItemTableConfig
from jaxrec.data.sources.load import load_interactions, load_ordered
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.data.sources.synthetic import SyntheticConfig
from jaxrec.data.sources.user_table import UserTableConfig
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.runs.directory import VOCABULARY, RunDirectory
from jaxrec.schema import ITEM, PAD

# Name under which the dropped rows of unknown items are counted.
_DROPPED_BY = "the vocabulary of the run"


def population_config(of_run: DataConfig, dataset: str, log: LogConfig) -> DataConfig:
    """Return a run's data settings for another population's log, with those given in `log`.

    Items are dropped if they are unknown to the run, not if they are rare. Titles are the run's.
    """
    given = {name: value for name, value in vars(log).items() if value != getattr(LogConfig, name)}
    return replace(
        of_run,
        dataset=dataset,
        data_dir=None,
        items=None,
        users=None,
        train_on_validation=False,
        filters=replace(of_run.filters, min_item_interactions=1),
        log=replace(of_run.log, **given),
        item_table=ItemTableConfig(),
        user_table=UserTableConfig(),
        synthetic=SyntheticConfig(),
    )


def read_training_log(run: RunDirectory, config: DataConfig, *, seed: int) -> Dataset:
    """Read the log that a run was trained on.

    Raises:
        UserError: the log cannot be read, or its items have changed.
    """
    is_warm = run.config().train.from_run is not None
    known = run.known_ids("--run-dir") if is_warm else NOTHING_KNOWN
    dataset = make_dataset(load_ordered(config, seed=seed), config, seed=seed, known=known)
    if dataset.vocabulary.digest != run.vocabulary().digest:
        raise UserError(
            f"{run.path / VOCABULARY} has other items than --dataset={config.dataset}: the data "
            "has changed; give a log with --dataset"
        )
    return dataset


def read_population(run: RunDirectory, config: DataConfig, *, seed: int) -> Dataset:
    """Read the log of a population, and encode its items by a run's vocabulary.

    Raises:
        UserError: the log cannot be read, or the run knows none of its items.
    """
    vocabulary, catalogue = run.vocabulary(), run.catalogue()
    interactions = drop_unknown_items(load_interactions(config, seed=seed), vocabulary, catalogue)
    return encode_items(prepare(interactions, config, seed=seed), vocabulary, catalogue)


def drop_unknown_items(
    interactions: Interactions, vocabulary: Vocabulary, catalogue: pl.DataFrame
) -> Interactions:
    """Drop the rows of items that are not in a vocabulary; raw items are compared as strings.

    Args:
        catalogue: the description of each id of the vocabulary.

    Raises:
        UserError: no row is left.
    """
    log = interactions.log.rename({"item": "raw"})
    known = pl.DataFrame({"text": vocabulary.values.cast(pl.String), "item": vocabulary.values})
    by_text = log.with_columns(text=pl.col("raw").cast(pl.String))
    found = by_text.join(known, on="text", how="left", maintain_order="left")
    kept = found.filter(pl.col("item").is_not_null())
    if kept.is_empty():
        raise UserError(
            f"the run has none of the items of the log: it has {vocabulary.size:,}, such as "
            f"{vocabulary.values[0]!r}, and the log has {log['raw'][0]!r}; change --log.item or "
            "--dataset"
        )
    unknown = found.filter(pl.col("item").is_null())
    notes = interactions.notes
    if unknown.height:
        notes += (f"{unknown['raw'].n_unique():,} items are unknown to the run",)
    dropped = {**interactions.dropped, **({_DROPPED_BY: unknown.height} if unknown.height else {})}
    return replace(
        interactions,
        log=kept.drop("raw", "text"),
        items=catalogue,
        dropped=dropped,
        notes=notes,
    )


def encode_items(dataset: Dataset, vocabulary: Vocabulary, catalogue: pl.DataFrame) -> Dataset:
    """Encode the items of a dataset anew by a vocabulary that contains them all.

    The counts stay those of the dataset.
    """
    numbers = np.append(PAD, vocabulary.encode(dataset.vocabulary.values)).astype(np.int32)
    counts = np.zeros(vocabulary.size + 1, np.int64)
    counts[numbers] = dataset.vocabulary.counts
    items = numbers[dataset.timelines.items]
    timelines = replace(dataset.timelines, activities={**dataset.timelines.activities, ITEM: items})
    return replace(
        dataset,
        timelines=timelines,
        vocabulary=Vocabulary(vocabulary.values, counts),
        catalogue=catalogue,
    )
