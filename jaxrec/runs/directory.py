"""The run directory: the contract between training and conversion.

    config.toml        the settings of the run, and the version of this format
    schema.json        the size of the catalogue, the features and the heads
    vocabulary.json    the raw item of each id, its count of targets, and a hash of the items
    catalogue.json     item, title, genres and year of each id, in columns
    item_features.npz  the feature values of each id, if items have features
    heldout.npz        test histories with their targets, for parity checks and benchmarks
    checkpoints/       the latest and the best
    metrics.jsonl      the metrics, one line per epoch
    tensorboard/       the same for TensorBoard
    curve.png          the same as a plot
    ranks.npz          the rank of each test target, to compare runs user by user
    summary.json       the figures; written last, so a run that has it is finished
    export/            the .tflite file, once the run is converted

Everything but the checkpoints is written under a temporary name and renamed.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from jaxrec.config.experiment import Config, differences, load_config, save_config
from jaxrec.data.dataset import Dataset
from jaxrec.data.interactions import DESCRIPTION, ITEM_COLUMNS
from jaxrec.data.item_features import (
    ItemFeature,
    load_item_features,
    save_item_features,
)
from jaxrec.data.known_ids import KnownIds
from jaxrec.data.vocabulary import Vocabulary, load_vocabulary
from jaxrec.errors import UserError
from jaxrec.files import find_below, read_json, reading, replacing, write_json
from jaxrec.runs.heldout import Heldout, draw_heldout, load_heldout, save_heldout
from jaxrec.runs.ranks import Ranks, load_ranks, save_ranks
from jaxrec.runs.summary import Summary, load_summary
from jaxrec.schema import Schema

CONFIG = "config.toml"
# The configuration of earlier formats, which are refused.
OLDER_CONFIG = "config.json"
SCHEMA = "schema.json"
VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.json"
ITEM_FEATURES = "item_features.npz"
HELDOUT = "heldout.npz"
METRICS = "metrics.jsonl"
CURVE = "curve.png"
RANKS = "ranks.npz"
SUMMARY = "summary.json"
MODEL = "export/model.tflite"


@dataclass(frozen=True)
class RunDirectory:
    """The folder of a run, begun or not; reading a damaged file raises `UserError`."""

    path: Path

    @property
    def is_begun(self) -> bool:
        """Return whether the directory holds a run, of this format or an earlier one."""
        return (self.path / CONFIG).exists() or (self.path / OLDER_CONFIG).exists()

    @property
    def is_finished(self) -> bool:
        """Return whether the run is finished."""
        return self.summary_file.exists()

    @property
    def ended(self) -> float:
        """Return the time at which the run finished, in seconds since 1970."""
        return self.summary_file.stat().st_mtime

    @property
    def summary_file(self) -> Path:
        """Return the path of the summary."""
        return self.path / SUMMARY

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Return the folder of TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def model_file(self) -> Path:
        """Return the path of the .tflite file, which conversion writes."""
        return self.path / MODEL

    def config(self) -> Config:
        """Read the configuration of the run."""
        return load_config(self.path / CONFIG)

    def schema(self) -> Schema:
        """Read the schema: the size of the catalogue, the features and the heads."""
        return Schema.load(self.path / SCHEMA)

    def vocabulary(self) -> Vocabulary:
        """Read the vocabulary: the raw item of each id."""
        return load_vocabulary(self.path / VOCABULARY)

    def catalogue(self) -> pl.DataFrame:
        """Read `item` (raw), `title`, `genres` and `year` of each id, in id order, [V] rows."""
        saved = read_json(self.path / CATALOGUE)
        # Polars accepts both forms: columns, and the list of entries that earlier runs wrote.
        with reading(self.path / CATALOGUE):
            table = pl.DataFrame(saved, schema_overrides=DESCRIPTION, infer_schema_length=None)
            return table.select(ITEM_COLUMNS)

    def item_features(self) -> tuple[ItemFeature, ...]:
        """Read the features whose embeddings are added to an item's embedding."""
        names = [each.name for each in self.schema().features_of("item")]
        return load_item_features(self.path / ITEM_FEATURES, names) if names else ()

    def known_ids(self, flag: str, *, forgets_items: bool = False) -> KnownIds:
        """Read the ids of the run, for a later one to keep.

        Args:
            flag: the flag that names the run, with its value, for messages.
            forgets_items: whether the later run drops the items that its log does not have.
        """
        schema, item_features = self.schema(), self.item_features()
        return KnownIds(
            flag,
            self.vocabulary(),
            self.catalogue(),
            {each.name: each for each in item_features},
            {each.name: each for each in schema.input_features},
            {each.name: each for each in schema.heads},
            forgets_items,
        )

    def heldout(self) -> Heldout:
        """Read the test histories with their targets."""
        return load_heldout(self.path / HELDOUT)

    def ranks(self) -> Ranks:
        """Read the ranks of the test targets."""
        return load_ranks(self.path / RANKS)

    def summary(self) -> Summary:
        """Read the summary: the figures and their protocol."""
        return load_summary(self.summary_file)

    def metrics(self, until_step: int) -> list[dict[str, Any]]:
        """Read the metrics of the epochs that ended at `until_step` or before.

        A killed run may have left later lines and an incomplete one; they are ignored.
        """
        path = self.path / METRICS
        epochs = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                epoch = json.loads(line)
            except json.JSONDecodeError:
                break
            if epoch["step"] <= until_step:
                epochs.append(epoch)
        return epochs

    def write_metrics(self, epochs: list[dict[str, Any]]) -> None:
        """Write the metrics, one line per epoch."""
        with replacing(self.path / METRICS) as file:
            file.writelines(json.dumps(epoch).encode() + b"\n" for epoch in epochs)

    def check(
        self, config: Config, *, resume: bool, overwrite: bool, flag: str = "--run-dir"
    ) -> None:
        """Raise, before any work is done, if a run must not write to this directory.

        Args:
            flag: the flag that sets the directory, for error messages.

        Raises:
            UserError: the directory holds other files, a run that is neither resumed nor
                overwritten, or a run of another configuration.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other; give one of them")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{flag}={self.path} is a file; give a folder")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self.is_begun:
            raise UserError(
                f"{flag}={self.path} contains other files and no run; give another folder"
            )
        if overwrite:
            return
        if not resume:
            state = "a finished" if self.is_finished else "an unfinished"
            raise UserError(
                f"{self.path} contains {state} run; give --resume to continue it, --overwrite to "
                f"replace it, or another {flag}"
            )
        different = differences(self.config(), config)
        if different:
            raise UserError(
                f"{self.path} is a run of another configuration ({'; '.join(different)}); give its "
                f"flags to resume it, --overwrite to replace it, or another {flag}"
            )

    def require_finished(self) -> None:
        """Raise unless the run is finished.

        Raises:
            UserError: there is no run, or it is unfinished.
        """
        if not self.is_begun:
            raise UserError(f"{self.path} is not a run directory; give one with --run-dir")
        if not self.is_finished:
            raise UserError(
                f"{self.path} is not finished; finish it with --resume, or give another run"
            )

    def begin(self, config: Config, dataset: Dataset) -> None:
        """Write the files that conversion needs beside a checkpoint; the configuration comes last.

        Raises:
            UserError: the run is resumed, and was trained on other items.
        """
        if self.is_begun:
            if not self.vocabulary().equals(dataset.vocabulary):
                raise UserError(
                    f"{self.path / VOCABULARY} has other items than "
                    f"--dataset={config.data.dataset}: the data has changed; start again with "
                    "--overwrite"
                )
            return
        self.path.mkdir(parents=True, exist_ok=True)
        dataset.schema(config.model.embedding_dim).save(self.path / SCHEMA)
        dataset.vocabulary.save(self.path / VOCABULARY)
        columns = dataset.catalogue.to_dict(as_series=False)
        write_json(self.path / CATALOGUE, columns, indent=None)
        if dataset.item_features:
            save_item_features(dataset.item_features, self.path / ITEM_FEATURES)
        heldout = draw_heldout(dataset, config.data.history_length, seed=config.train.seed)
        save_heldout(heldout, self.path / HELDOUT)
        save_config(config, self.path / CONFIG)

    def finish(self, summary: Summary, ranks: Ranks) -> None:
        """Write the files of a finished run; the summary comes last."""
        save_ranks(ranks, self.path / RANKS)
        summary.save(self.summary_file)


def default_path(config: Config, file: Path | None = None) -> Path:
    """Return the default directory of a run.

    Args:
        file: the settings file, if one was given; the run of a recipe has the recipe's name.
    """
    if file is not None and file.name != CONFIG:
        return Path("runs") / file.stem
    data = config.data
    return Path("runs") / f"{data.name}-{config.model.encoder}-n{data.history_length}"


def newest_run(root: Path = Path("runs")) -> RunDirectory:
    """Return the run that finished last, of those at any depth below a folder.

    Raises:
        UserError: there is no finished run.
    """
    runs = [RunDirectory(path.parent) for path in find_below(root, SUMMARY)]
    if not runs:
        raise UserError(
            f"no finished run under {root}/; train one with `jaxrec train`, or give "
            "one with --run-dir"
        )
    return max(runs, key=lambda run: run.ended)
