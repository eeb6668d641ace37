"""Restore: from a finished run directory to its model and all that conversion asks about it."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jaxrec.config.experiment import Config
from jaxrec.conversion.new_items import read_new_items
from jaxrec.data.item_features import ids_by_name
from jaxrec.data.vocabulary import Vocabulary
from jaxrec.errors import UserError
from jaxrec.models.folding import append_items, fold_features
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import CATALOGUE, SCHEMA, VOCABULARY, RunDirectory
from jaxrec.runs.heldout import Heldout
from jaxrec.runs.summary import Summary
from jaxrec.schema import Schema
from jaxrec.training.checkpoint import read_model


@dataclass(frozen=True, eq=False)
class RestoredRun:
    """A finished run.

    Attributes:
        catalogue: `item` (raw), `title`, `genres`, `year` of each id, in their order, [V] rows.
        summary: the figures, with their protocol.
        model: the recommender with the parameters of the best epoch on validation; what features
            say of the items is in its tables.
        said: what a person should know of the items that were added.
    """

    directory: RunDirectory
    config: Config
    vocabulary: Vocabulary
    catalogue: pl.DataFrame
    heldout: Heldout
    summary: Summary
    model: RecommenderModel
    said: str


def restore(folder: Path, new_items: Path | None = None, boost: float = 0.0) -> RestoredRun:
    """Read a run directory; nothing in it is changed.

    Args:
        new_items: a table of items that are added to those of the run ...
        boost: ... and what is added to their scores.

    Raises:
        UserError: it is no finished run, of another version, damaged, or its files do not fit each
            other.
    """
    directory = RunDirectory(folder)
    directory.require_finished()
    config, schema = directory.config(), directory.schema()
    vocabulary, catalogue = directory.vocabulary(), directory.catalogue()
    _require_fit(directory, schema, vocabulary, catalogue)
    model = read_model(directory.checkpoints, schema, config.model)
    features, said = directory.item_features(), ""
    if new_items is not None:
        new = read_new_items(new_items, config.data, vocabulary, features)
        vocabulary, catalogue = new.vocabulary, pl.concat([catalogue, new.described])
        features, said = new.features, new.said
    item_ids = ids_by_name(features)
    if new_items is None:
        model = fold_features(model, item_ids)
    else:
        model = append_items(model, item_ids, boost)
    return RestoredRun(
        directory,
        config,
        vocabulary,
        catalogue,
        directory.heldout(),
        directory.summary(),
        model,
        said,
    )


def _require_fit(
    directory: RunDirectory, schema: Schema, vocabulary: Vocabulary, catalogue: pl.DataFrame
) -> None:
    """Refuse files of different runs.

    Raises:
        UserError: which ones.
    """
    for name, fits in (
        (CATALOGUE, catalogue["item"].equals(vocabulary.values)),
        (SCHEMA, schema.items == vocabulary.size),
    ):
        if not fits:
            raise UserError(
                f"{directory.path / name} describes other items than {directory.path / VOCABULARY} "
                "has; train the run again"
            )
