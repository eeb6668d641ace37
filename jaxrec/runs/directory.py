"""The run directory: the contract between training and conversion.

    config.toml        what was asked for, and the number of this format
    schema.json        what an activity consists of, and what is learned
    vocabulary.json    the raw item of each id, most popular first, with its hash
    catalogue.json     item, title, genres and year of each id, in columns
    item_features.npz  the values of each id that add to its vector, if any do
    heldout.npz        test histories with their targets, for parity and benchmarks
    checkpoints/       the latest and the best
    metrics.jsonl      one line an epoch
    tensorboard/       the same for TensorBoard
    curve.png          the same to look at
    ranks.npz          where each test target ended, to compare runs user by user
    summary.json       the figures; written last: a run that has it is finished
    export/            the .tflite file, when the run is converted

Everything but checkpoints is written under a temporary name and renamed.
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
from jaxrec.data.vocabulary import Vocabulary, load_vocabulary
from jaxrec.errors import UserError
from jaxrec.files import find_below, read_json, reading, replacing, write_json
from jaxrec.runs.heldout import Heldout, draw_heldout, load_heldout, save_heldout
from jaxrec.runs.ranks import Ranks, load_ranks, save_ranks
from jaxrec.runs.summary import Summary, load_summary
from jaxrec.schema import Schema

CONFIG = "config.toml"
# Of earlier formats, which are refused.
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
    """The folder of a run, begun or not; what is read and damaged is a UserError."""

    path: Path

    @property
    def is_begun(self) -> bool:
        """Whether its contract was written."""
        return (self.path / CONFIG).exists() or (self.path / OLDER_CONFIG).exists()

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.summary_file.exists()

    @property
    def ended(self) -> float:
        """When it came to its end, in seconds since 1970."""
        return self.summary_file.stat().st_mtime

    @property
    def summary_file(self) -> Path:
        """The figures, as a file."""
        return self.path / SUMMARY

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Where TensorBoard's events lie."""
        return self.path / "tensorboard"

    @property
    def model_file(self) -> Path:
        """The .tflite file, where conversion writes it."""
        return self.path / MODEL

    def config(self) -> Config:
        """Read what was asked for."""
        return load_config(self.path / CONFIG)

    def schema(self) -> Schema:
        """Read what an activity consists of, and what is learned."""
        return Schema.load(self.path / SCHEMA)

    def vocabulary(self) -> Vocabulary:
        """Read the raw item of each id."""
        return load_vocabulary(self.path / VOCABULARY)

    def catalogue(self) -> pl.DataFrame:
        """Read `item` (raw), `title`, `genres`, `year` of each id, in their order, [V] rows."""
        saved = read_json(self.path / CATALOGUE)
        # Of columns, and of a list of entries, which earlier runs wrote, Polars makes the same.
        with reading(self.path / CATALOGUE):
            table = pl.DataFrame(saved, schema_overrides=DESCRIPTION, infer_schema_length=None)
            return table.select(ITEM_COLUMNS)

    def item_features(self) -> tuple[ItemFeature, ...]:
        """Read the values of each id that add to its vector."""
        names = [each.name for each in self.schema().features_of("item")]
        return load_item_features(self.path / ITEM_FEATURES, names) if names else ()

    def heldout(self) -> Heldout:
        """Read the test histories with their targets."""
        return load_heldout(self.path / HELDOUT)

    def ranks(self) -> Ranks:
        """Read where each test target ended."""
        return load_ranks(self.path / RANKS)

    def summary(self) -> Summary:
        """Read the figures."""
        return load_summary(self.summary_file)

    def metrics(self, until_step: int) -> list[dict[str, Any]]:
        """Read the metrics of the epochs that ended at `until_step` or before.

        A killed run may have left later lines, and half of one: they are left out.
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
        """Write one line an epoch."""
        with replacing(self.path / METRICS) as file:
            file.writelines(json.dumps(epoch).encode() + b"\n" for epoch in epochs)

    def check(
        self, config: Config, *, resume: bool, overwrite: bool, flag: str = "--run-dir"
    ) -> None:
        """Refuse a directory that this run must not touch, before any work is done.

        Args:
            flag: what names the directory.

        Raises:
            UserError: it belongs to a finished run, another configuration, or something else.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other; give one of them")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{flag}={self.path} is a file; name a folder")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self.is_begun:
            raise UserError(f"{flag}={self.path} holds other files and no run; name another folder")
        if overwrite:
            return
        if not resume:
            state = "a finished" if self.is_finished else "an unfinished"
            raise UserError(
                f"{self.path} holds {state} run; give --resume to continue it, --overwrite to "
                f"replace it, or another {flag}"
            )
        different = differences(self.config(), config)
        if different:
            raise UserError(
                f"{self.path} is a run of another configuration ({'; '.join(different)}); give its "
                f"flags to resume it, --overwrite to replace it, or another {flag}"
            )

    def require_finished(self) -> None:
        """Refuse what is no finished run.

        Raises:
            UserError: which it is.
        """
        if not self.is_begun:
            raise UserError(f"{self.path} is no run directory; name one with --run-dir")
        if not self.is_finished:
            raise UserError(
                f"{self.path} is not finished; end it with --resume, or name another run"
            )

    def begin(self, config: Config, dataset: Dataset) -> None:
        """Write what conversion needs beside the checkpoint; the configuration comes last.

        Raises:
            UserError: the run that is resumed had learned from other data.
        """
        if self.is_begun:
            if self.vocabulary().digest != dataset.vocabulary.digest:
                raise UserError(
                    f"{self.path / VOCABULARY} has other items than "
                    f"--dataset={config.data.dataset} has now; the data has changed: start anew "
                    "with --overwrite"
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
        """Write what a finished run leaves; the summary comes last."""
        save_ranks(ranks, self.path / RANKS)
        summary.save(self.summary_file)


def default_path(config: Config, file: Path | None = None) -> Path:
    """Return where a run is kept unless another directory is named.

    Args:
        file: the file of settings, if one was given; a recipe gives its run its name.
    """
    if file is not None and file.name != CONFIG:
        return Path("runs") / file.stem
    data = config.data
    return Path("runs") / f"{data.name}-{config.model.encoder}-n{data.history_length}"


def newest(root: Path = Path("runs")) -> RunDirectory:
    """Find the run below a folder, however deep, that finished last.

    Raises:
        UserError: there is none.
    """
    runs = [RunDirectory(path.parent) for path in find_below(root, SUMMARY)]
    if not runs:
        raise UserError(
            f"no finished run under {root}/; train one with `jaxrec train`, or name "
            "one with --run-dir"
        )
    return max(runs, key=lambda run: run.ended)
