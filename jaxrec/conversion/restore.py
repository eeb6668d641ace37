"""Restored runs: the model of a finished run, with the data that conversion needs."""

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
    """A finished run, read from its directory.

    Attributes:
        catalogue: `item` (raw), `title`, `genres`, `year` of each id, in order of id, [V] rows.
        summary: the metrics, with their protocol.
        model: the recommender with the parameters of the best epoch on validation; item features
            are folded into its item tables.
        notes: notes on the new items, to be printed; empty without new items.
    """

    directory: RunDirectory
    config: Config
    vocabulary: Vocabulary
    catalogue: pl.DataFrame
    heldout: Heldout
    summary: Summary
    model: RecommenderModel
    notes: str


def restore_run(folder: Path, new_items: Path | None = None, boost: float = 0.0) -> RestoredRun:
    """Read a run directory, without changing it.

    Args:
        new_items: table of items to append to those of the run.
        boost: constant added to the scores of the new items.

    Raises:
        UserError: if the run is not finished, of another version or damaged, or its files do not
            fit each other.
    """
    directory = RunDirectory(folder)
    directory.require_finished()
    config, schema = directory.config(), directory.schema()
    vocabulary, catalogue = directory.vocabulary(), directory.catalogue()
    _require_fit(directory, schema, vocabulary, catalogue)
    model = read_model(directory.checkpoints, schema, config.model)
    features, notes = directory.item_features(), ""
    if new_items is not None:
        new = read_new_items(new_items, config.data, vocabulary, features)
        vocabulary, catalogue = new.vocabulary, pl.concat([catalogue, new.described])
        features, notes = new.features, new.notes
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
        notes,
    )


def _require_fit(
    directory: RunDirectory, schema: Schema, vocabulary: Vocabulary, catalogue: pl.DataFrame
) -> None:
    """Check that catalogue and schema have the items of the vocabulary.

    Raises:
        UserError: if one of them belongs to another run.
    """
    for name, fits in (
        (CATALOGUE, catalogue["item"].equals(vocabulary.values)),
        (SCHEMA, schema.items == vocabulary.size),
    ):
        if not fits:
            raise UserError(
                f"{directory.path / name} has other items than {directory.path / VOCABULARY}; "
                "train the run again"
            )
