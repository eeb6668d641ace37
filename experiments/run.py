"""Train a recommender on a log of (user, item, time) and say how good it is.

Without flags it makes a small synthetic world and trains an LSTM on it:

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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import jax
import tyro
from flax import nnx

from jaxrec.command_line import command
from jaxrec.config import Config, DataConfig, ModelConfig, TrainConfig
from jaxrec.data.dataset import Dataset, make_dataset
from jaxrec.data.intake import render
from jaxrec.data.sources import load_ordered
from jaxrec.data.targets import about_targets
from jaxrec.errors import UserError
from jaxrec.evaluation.baselines import make_baselines
from jaxrec.evaluation.ranking import Ranking, Scorer, model_scorer, now_unknown, rank
from jaxrec.evaluation.ratings import Rater, model_rater, rating_baselines, rating_figures
from jaxrec.evaluation.slices import slices
from jaxrec.models.encoders import encoder_class
from jaxrec.models.model import RecommenderModel
from jaxrec.runs.directory import CURVE, RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import draw_curve, figures_of, protocol, render_table, training_figures
from jaxrec.runs.summary import Figures, ModelFacts, Summary
from jaxrec.training.compilation_cache import keep_compiled
from jaxrec.training.distillation import directory_of_teacher, read_teacher
from jaxrec.training.loop import Trained, folded, train
from jaxrec.training.processes import by_leader, is_leader, join, leave, require_same, together
from jaxrec.training.sharding import make_mesh
from jaxrec.training.windows import shape_of


@dataclass(frozen=True)
class RunFlags:
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
    dry_run: bool = False
    """read the log, say what came in and what is odd, and stop"""
    model_shards: int = 1
    """devices over which the tables of items are cut, where one does not hold them; the others
    share out the batches"""
    coordinator: str | None = None
    """train with other processes: HOST:PORT of the first, which listens there; auto: JAX finds them
    itself, as under Slurm, on Kubernetes and on TPUs"""
    process_id: int | None = None
    """with --coordinator: which of the processes this one is, from 0 ..."""
    num_processes: int | None = None
    """... and how many there are"""


def run(flags: RunFlags) -> None:
    """Load, train, evaluate, write, print.

    Raises:
        UserError: anything that the user can mend.
    """
    config = Config(flags.data, flags.model, flags.train)
    join(flags.coordinator, flags.process_id, flags.num_processes)
    encoder_class(config.model.encoder)  # a mistake is answered before the log is read
    name = f"{config.data.name}-{config.model.encoder}-n{config.data.history_length}"
    directory = RunDirectory(flags.run_dir or Path("runs") / name)
    if flags.dry_run:
        _look(config)
        return
    by_leader(partial(directory.check, config, resume=flags.resume, overwrite=flags.overwrite))
    if flags.resume and directory.is_finished:
        print(f"{directory.path} is finished\n\n{render_table(directory.summary())}")
        return
    teacher = directory_of_teacher(config)
    if teacher and teacher.path.resolve() == directory.path.resolve():
        raise UserError(
            f"--teacher={teacher.path} is the run directory too; name another --run-dir"
        )

    dataset = _look(config)
    require_same(config, dataset.vocabulary.digest)
    # What cannot be trained is refused before an older run is gone.
    make_mesh(shape_of(dataset, config.data, config.train).rows, flags.model_shards)
    if flags.overwrite:
        by_leader(partial(_remove, directory))
    summary = fit(dataset, config, directory, model_shards=flags.model_shards)
    if summary is not None:
        print(f"\n{render_table(summary)}\n\n{directory.summary_file}")


def _remove(directory: RunDirectory) -> None:
    if directory.path.exists():
        shutil.rmtree(directory.path)


def _look(config: Config) -> Dataset:
    """Read the log, make it ready, and say what came in."""
    log = load_ordered(config.data, seed=config.train.seed)
    dataset = make_dataset(log, config.data, seed=config.train.seed)
    if not is_leader():
        return dataset
    print(render(dataset.intake, config.data.dataset))
    print("\n".join(f"  {line}" for line in about_targets(dataset, config.data)), flush=True)
    return dataset


def fit(
    dataset: Dataset, config: Config, directory: RunDirectory, *, model_shards: int = 1
) -> Summary | None:
    """Train on a data set from where the directory stands, and conclude.

    Returns:
        The figures; None in a process that only helped to train.
    """
    teacher = read_teacher(config, dataset)
    by_leader(partial(directory.begin, config, dataset))
    with together():
        model = make_model(dataset, config)
        trained = train(model, dataset, config, directory, teacher, model_shards=model_shards)
    leave()
    return conclude(trained, dataset, config, directory) if is_leader() else None


def make_model(dataset: Dataset, config: Config) -> RecommenderModel:
    """Begin a model of a data set, by the seed of the training."""
    schema, counts = dataset.schema(config.model.embedding_dim), dataset.vocabulary.counts

    @nnx.jit  # drawn one by one, each shape would be compiled
    def draw() -> RecommenderModel:
        return RecommenderModel(schema, config.model, counts, rngs=nnx.Rngs(config.train.seed))

    return draw()


def conclude(
    trained: Trained,
    dataset: Dataset,
    config: Config,
    directory: RunDirectory,
    *,
    unit: str = "epoch",
) -> Summary:
    """Evaluate the best parameters and the baselines; write what a finished run leaves.

    Args:
        unit: what the epochs of the training are.
    """
    size, split = dataset.vocabulary.size, dataset.split
    of_test, of_validation = slices(dataset, split.test), slices(dataset, split.validation)

    def tested(scorer: Scorer) -> Ranking:
        return rank(scorer, dataset, split.test, config.data)

    def validated(scorer: Scorer) -> Figures:
        ranking = rank(scorer, dataset, split.validation, config.data)
        return figures_of(ranking, size, of_validation)

    baselines, left_out = make_baselines(dataset, config.data.split)
    if left_out:
        print(left_out)
    shipped = folded(trained.graphdef, trained.params, dataset.item_features)
    scorer = model_scorer(*shipped)
    test = tested(scorer)
    without_now = None
    if config.data.told_time:
        without_now = tested(now_unknown(scorer, dataset.timelines.moments))
    summary = Summary(
        protocol(config, dataset, test, of_test),
        test=figures_of(test, size, of_test),
        validation=validated(scorer),
        baselines={
            name: figures_of(tested(each), size, of_test) for name, each in baselines.items()
        },
        train=training_figures(trained.epochs, trained.progress.best_epoch),
        model=ModelFacts(
            config.model.encoder, sum(leaf.size for leaf in jax.tree.leaves(shipped[1]))
        ),
        ratings={
            name: rating_figures(rater, dataset, config.data.history_length)
            for name, rater in _raters(shipped, dataset, config).items()
        },
        now_unknown=without_now and figures_of(without_now, size, of_test),
    )
    levels = {name: validated(each).means["recall@10"] for name, each in baselines.items()}
    draw_curve(directory.path / CURVE, directory.path.name, trained.epochs, levels, unit)
    targets, unknown = dataset.timelines.items[split.test], without_now and without_now.ranks
    directory.finish(summary, Ranks(test.users, targets, test.ranks, unknown, of_test))
    return summary


def _raters(
    shipped: tuple[nnx.GraphDef[RecommenderModel], nnx.State], dataset: Dataset, config: Config
) -> dict[str, Rater]:
    """Name the model and its baselines, if ratings are learned."""
    if dataset.rating is None:
        return {}
    return {config.model.encoder: model_rater(*shipped), **rating_baselines(dataset)}


main = command(
    run,
    remedy="free or open the place, or give another --run-dir; a run that had begun goes on "
    "with --resume",
    interrupted="--resume goes on from the last epoch",
    before=keep_compiled,
)

if __name__ == "__main__":
    sys.exit(main())
