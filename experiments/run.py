"""Train a recommender on a log of (user, item, time) and say how good it is.

Without flags it makes a small synthetic world and trains an LSTM on it, in about a minute:

    python experiments/run.py --encoder=rnn

MovieLens 1M, downloaded or already here:

    python experiments/run.py --encoder=rnn --dataset=ml-1m
    python experiments/run.py --encoder=rnn --dataset=ml-1m --data-dir=FOLDER_THAT_HOLDS_ml-1m

Your own log, with the names of its columns:

    python experiments/run.py --dataset=log.csv --user-column=customer --item-column=sku \
        --time-column=bought_at --items=products.csv

The run directory (runs/<dataset>-<encoder>-n<N>) keeps the checkpoints, the figures in
summary.json, the training curve in curve.png, and all that conversion to .tflite needs.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

from jaxrec.baselines import Popularity, Transitions
from jaxrec.command_line import run_command
from jaxrec.config import Config, DataConfig, ModelConfig, TrainConfig
from jaxrec.data.dataset import Dataset, load_interactions, prepare
from jaxrec.evaluate import Ranking, Scorer, model_scorer, rank_targets, summarize
from jaxrec.features import Feature
from jaxrec.files import read_json, write_json
from jaxrec.models.recommender import Recommender
from jaxrec.ranks import Ranks, save_ranks
from jaxrec.report import draw_curve, protocol, render_table, training_figures
from jaxrec.run_directory import (
    CURVE,
    RANKS,
    SUMMARY,
    check_run_directory,
    is_finished,
    write_contract,
)
from jaxrec.train import Trained, train


@dataclass(frozen=True)
class Flags:
    """The flags of one run."""

    model: tyro.conf.OmitArgPrefixes[ModelConfig] = field(default_factory=ModelConfig)
    data: tyro.conf.OmitArgPrefixes[DataConfig] = field(default_factory=DataConfig)
    train: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)
    run_dir: Path | None = None
    """where the run is kept; default: runs/<dataset>-<encoder>-n<N>"""
    resume: bool = False
    """go on with the unfinished run in the run directory; it ends as if never interrupted"""
    overwrite: bool = False
    """replace the run in the run directory"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one experiment; give the exit code, 2 for anything that the user can mend."""
    return run_command(
        run,
        Flags,
        __doc__,
        arguments,
        remedy="free or open the place, or give another --run-dir; a run that had begun goes on "
        "with --resume",
        interrupted="--resume goes on from the last epoch",
    )


def run(flags: Flags) -> dict[str, Any]:
    """Load, train, evaluate, write; give the summary.

    Raises:
        UserError: anything that the user can mend.
    """
    config = Config(flags.data, flags.model, flags.train)
    name = f"{Path(config.data.dataset).stem}-{config.model.encoder}-n{config.data.history_length}"
    run_dir = flags.run_dir or Path("runs") / name
    check_run_directory(run_dir, config, resume=flags.resume, overwrite=flags.overwrite)
    if flags.resume and is_finished(run_dir):
        summary = read_json(run_dir / SUMMARY)
        print(f"{run_dir} is finished\n\n{render_table(summary, config.model.encoder)}")
        return summary

    dataset = prepare(
        load_interactions(config.data, seed=config.train.seed), config.data, seed=config.train.seed
    )
    features = tuple(
        Feature(name, size, config.model.embedding_dim)
        for name, size in dataset.feature_sizes.items()
    )
    print(
        f"{config.data.dataset}: {len(dataset.timelines.items):,} interactions of "
        f"{len(dataset.timelines.lengths):,} users with {dataset.vocabulary.size:,} items"
    )
    if flags.overwrite and run_dir.exists():
        shutil.rmtree(run_dir)
    write_contract(run_dir, config, features, dataset)
    model = Recommender(
        features, config.model, dataset.vocabulary.counts, rngs=nnx.Rngs(config.train.seed)
    )
    trained = train(model, dataset, config, run_dir)
    summary = conclude(trained, dataset, config, run_dir)
    print(f"\n{render_table(summary, config.model.encoder)}\n\n{run_dir / SUMMARY}")
    return summary


def conclude(trained: Trained, dataset: Dataset, config: Config, run_dir: Path) -> dict[str, Any]:
    """Evaluate the best parameters and the baselines; write what a finished run leaves."""

    def ranking(scorer: Scorer, positions: np.ndarray) -> Ranking:
        return rank_targets(
            scorer,
            dataset.timelines,
            positions,
            catalogue_size=dataset.vocabulary.size,
            history_length=config.data.history_length,
            keep_seen=config.data.keep_seen,
        )

    def figures(scorer: Scorer, positions: np.ndarray) -> dict[str, Any]:
        return summarize(ranking(scorer, positions), dataset.vocabulary.size)

    counts = dataset.vocabulary.counts
    baselines: dict[str, Scorer] = {
        "transitions": Transitions(dataset.timelines, dataset.split, counts),
        "popularity": Popularity(counts),
    }
    scorer = model_scorer(trained.graphdef, trained.params)
    test = ranking(scorer, dataset.split.test)
    summary = {
        "protocol": protocol(config, dataset, test),
        "test": summarize(test, dataset.vocabulary.size),
        "validation": figures(scorer, dataset.split.validation),
        "baselines": {
            name: figures(baseline, dataset.split.test) for name, baseline in baselines.items()
        },
        "train": training_figures(trained.epochs, trained.progress.best_epoch),
        "model": {
            "encoder": config.model.encoder,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained.params)),
        },
    }
    draw_curve(
        run_dir / CURVE,
        run_dir.name,
        trained.epochs,
        {name: figures(baseline, dataset.split.validation) for name, baseline in baselines.items()},
    )
    targets = dataset.timelines.items[dataset.split.test]
    save_ranks(Ranks(test.users, targets, test.ranks), run_dir / RANKS)
    write_json(run_dir / SUMMARY, summary)
    return summary


if __name__ == "__main__":
    sys.exit(main())
