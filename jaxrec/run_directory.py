"""The run directory: the contract between training and conversion.

    config.json        what was asked for, and the number of this format
    features.json      the schema of an activity
    vocabulary.json    the raw item of each id, most popular first, with its hash
    catalogue.json     title, genres and year of each id
    heldout.npz        test histories with their targets, for parity and benchmarks
    checkpoints/       the latest and the best
    metrics.jsonl      one line an epoch
    tensorboard/       the same for TensorBoard
    curve.png          the same to look at
    ranks.npz          where each test target ended, to compare runs user by user
    summary.json       the figures; written last: a run that has it is finished

Everything but checkpoints is written under a temporary name and renamed.
"""

import json
from pathlib import Path
from typing import Any

from jaxrec.config import Config, differences, load_config, save_config
from jaxrec.data.dataset import Dataset
from jaxrec.data.vocabulary import load_vocabulary
from jaxrec.errors import UserError
from jaxrec.features import Feature, save_features
from jaxrec.files import replacing, write_json
from jaxrec.heldout import draw_heldout, save_heldout

CONFIG = "config.json"
FEATURES = "features.json"
VOCABULARY = "vocabulary.json"
CATALOGUE = "catalogue.json"
HELDOUT = "heldout.npz"
METRICS = "metrics.jsonl"
TENSORBOARD = "tensorboard"
CURVE = "curve.png"
RANKS = "ranks.npz"
SUMMARY = "summary.json"


def is_finished(run_dir: Path) -> bool:
    """Tell whether the run in a directory came to its end."""
    return (run_dir / SUMMARY).exists()


def check_run_directory(run_dir: Path, config: Config, *, resume: bool, overwrite: bool) -> None:
    """Refuse a directory that this run must not touch, before any work is done.

    Raises:
        UserError: it belongs to a finished run, another configuration, or something else.
    """
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other; give one of them")
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run-dir={run_dir} is a file; name a folder")
    if not run_dir.exists() or not any(run_dir.iterdir()):
        return
    if not (run_dir / CONFIG).exists():
        raise UserError(f"--run-dir={run_dir} holds other files and no run; name another folder")
    if overwrite:
        return
    if not resume:
        state = "a finished" if is_finished(run_dir) else "an unfinished"
        raise UserError(
            f"{run_dir} holds {state} run; give --resume to continue it, --overwrite to replace "
            "it, or another --run-dir"
        )
    different = differences(load_config(run_dir / CONFIG), config)
    if different:
        raise UserError(
            f"{run_dir} is a run of another configuration ({'; '.join(different)}); give its flags "
            "to resume it, --overwrite to replace it, or another --run-dir"
        )


def write_contract(
    run_dir: Path, config: Config, features: tuple[Feature, ...], dataset: Dataset
) -> None:
    """Write what conversion needs beside the checkpoint; the configuration comes last.

    Raises:
        UserError: the run that is resumed had learned from other data.
    """
    if (run_dir / CONFIG).exists():
        saved = load_vocabulary(run_dir / VOCABULARY)
        if saved.digest != dataset.vocabulary.digest:
            raise UserError(
                f"{run_dir / VOCABULARY} has other items than --dataset={config.data.dataset} has "
                "now; the data has changed: start anew with --overwrite"
            )
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    save_features(features, run_dir / FEATURES)
    dataset.vocabulary.save(run_dir / VOCABULARY)
    entries = dataset.catalogue.with_row_index("id", offset=1).to_dicts()
    write_json(run_dir / CATALOGUE, entries)
    heldout = draw_heldout(
        dataset.timelines,
        dataset.split.test,
        config.data.history_length,
        seed=config.train.seed,
    )
    save_heldout(heldout, run_dir / HELDOUT)
    save_config(config, run_dir / CONFIG)


def read_metrics(run_dir: Path, until_step: int) -> list[dict[str, Any]]:
    """Read the metrics of the epochs that ended at `until_step` or before.

    A killed run may have left later lines, and half of one: they are left out.
    """
    path = run_dir / METRICS
    epochs = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            epoch = json.loads(line)
        except json.JSONDecodeError:
            break
        if epoch["step"] <= until_step:
            epochs.append(epoch)
    return epochs


def write_metrics(run_dir: Path, epochs: list[dict[str, Any]]) -> None:
    """Write one line an epoch."""
    with replacing(run_dir / METRICS) as file:
        file.writelines(json.dumps(epoch).encode() + b"\n" for epoch in epochs)
