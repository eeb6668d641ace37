"""Go on teaching a finished run by federated rounds: users are clients, and keep their timelines.

    jaxrec federate --run-dir=runs/synthetic-rnn-n10 --rounds=50 --clients=100

The clients are the users of the run's own log, or of another one, whose items are known by the
run's ids:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv

In a round some clients take a few steps of SGD on their own training targets; validation and test
stay unseen. Each sends by how much its parameters changed, clipped. With noise this guarantees to
each user how little the model tells of them:

    jaxrec federate --run-dir=runs/ml-1m-rnn-n10 --dataset=others.csv --epsilon=8

What comes out is a run directory like any other, judged on the population before and after.
"""

import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx
from jaxtyping import Int

from jaxrec.cli.command_line import command
from jaxrec.config import Config, FederatedConfig, LogConfig, differing, given
from jaxrec.data.dataset import Dataset
from jaxrec.data.intake import render as render_intake
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.evaluation.slices import slices
from jaxrec.federated.accounting import NO_GUARANTEE, Guarantee, guarantee
from jaxrec.federated.cohorts import Clients, make_clients
from jaxrec.federated.rounds import federate
from jaxrec.files import read_json, reading, write_json
from jaxrec.runs.comparison import METRICS, Judged, render
from jaxrec.runs.directory import FEDERATED, RunDirectory
from jaxrec.runs.population import population_config, read_own, read_population
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import render_table
from jaxrec.training.checkpoint import read_model
from jaxrec.training.compilation_cache import keep_compiled
from jaxrec.training.evaluate import evaluate_and_save
from jaxrec.training.fit import init_model
from jaxrec.training.objective import make_objective
from jaxrec.training.step import name_of
from jaxrec.training.windows import shape_of


@dataclass(frozen=True, kw_only=True)
class FederateFlags:
    """What is continued, with whom, and how."""

    run_dir: Path
    """a finished run; it is read and stays as it is"""
    dataset: str | None = None
    """the log of the clients, as run.py takes it; by default that of the run"""
    log: tyro.conf.OmitArgPrefixes[LogConfig] = field(default_factory=LogConfig)
    federated: tyro.conf.OmitArgPrefixes[FederatedConfig] = field(default_factory=FederatedConfig)
    out: Path | None = None
    """where the new run is kept; default: the run's directory, with -federated behind its name"""
    resume: bool = False
    """go on with the unfinished run in --out; it ends as if never interrupted"""
    overwrite: bool = False
    """replace the run in --out"""


@dataclass(frozen=True)
class Start:
    """Where the rounds begin.

    Attributes:
        graphdef: the model's structure ...
        params: ... and its parameters.
        digest: SHA-256 of these.
    """

    graphdef: nnx.GraphDef[Any]
    params: nnx.State
    digest: str


def run(flags: FederateFlags) -> None:
    """Read, judge, do the rounds, judge again, write, print.

    Raises:
        UserError: anything that the user can mend.
    """
    settings, source = flags.federated, RunDirectory(flags.run_dir)
    config = configure(flags, source)
    # A path may end in no name: `.` or `..`.
    named = source.path if source.path.name.strip(".") else source.path.resolve()
    out = RunDirectory(flags.out or named.with_name(f"{named.name}-federated"))
    if out.path.resolve() == source.path.resolve():
        raise UserError(f"--out={out.path} is the run that is continued; name another folder")
    out.check(config, resume=flags.resume, overwrite=flags.overwrite, flag="--out")
    if flags.resume and out.is_begun:
        require_same_settings(out, settings)
        if out.is_finished:
            print(f"{out.path} is finished\n\n{render_table(out.summary())}")
            return

    population, clients = read_clients(flags, source, config)
    print(render_intake(population.intake, config.data.dataset))
    privacy = guarantee(settings, clients.count)
    print("\n".join(f"  {line}" for line in _about(clients, settings, privacy)), flush=True)

    # What users chose is weighed by what the run had learned from, not by what clients hold.
    known = replace(population, vocabulary=source.vocabulary())
    start = read_start(source, known, config)
    before = judge(start, population, config, population.split.test)
    validated = judge(start, population, config, population.split.validation)
    told = f"validation {_figures(validated)}; test {_figures(before)}"
    print(f"before the first round: {told}", flush=True)
    if flags.resume and out.is_begun:
        require_same_start(out, start.digest)
        out.begin(config, known)
    else:
        begin_whole(out, config, known, _record(settings, start, clients, privacy))
    objective = make_objective(start.graphdef, known, config)
    noise = privacy.noise_multiplier if privacy else 0.0
    trained = federate(start.params, objective, clients, population, config, settings, out, noise)
    summary = evaluate_and_save(trained, population, config, out, unit="round")
    after = Judged("after", summary.protocol, population.vocabulary.digest, out.ranks())
    ranks = replace(after, name="before", ranks=before)
    print(f"\n{render_table(summary)}\n\n{render([after, ranks])}\n")
    print("\n".join(privacy.said if privacy else [NO_GUARANTEE]))
    print(f"\n{out.summary_file}")


def configure(flags: FederateFlags, source: RunDirectory) -> Config:
    """Say what the new run is: the old one, on the log of the clients.

    Raises:
        UserError: there is no finished run, or its rounds would need what clients do not have.
    """
    source.require_finished()
    config, schema = source.config(), source.schema()
    beyond = {
        "it knows features": bool(schema.features),
        "it predicts more than the next item": bool(schema.heads),
        "its targets count by degrees": config.data.label_weight is not None,
    }
    for reason, holds in beyond.items():
        if holds:
            raise UserError(
                f"--run-dir={source.path} cannot be federated: {reason}; give a run that learns "
                "from items alone"
            )
    if flags.dataset is not None:
        return replace(config, data=population_config(config.data, flags.dataset, flags.log))
    for flag, value in given(flags.log, LogConfig).items():
        raise UserError(f"{flag}={value} says nothing of the run's own log; give --dataset too")
    return config


def read_clients(
    flags: FederateFlags, source: RunDirectory, config: Config
) -> tuple[Dataset, Clients]:
    """Read the clients' log by the ids of the run, and who of it has something to learn from.

    Args:
        config: what `configure` says.
    """
    read = read_own if flags.dataset is None else read_population
    population = read(source, config.data, seed=config.train.seed)
    clients = make_clients(
        population.timelines,
        population.split,
        shape_of(population, config.data, config.train),
        expected=flags.federated.clients,
        steps=flags.federated.local_steps,
        seen_of=None if config.data.keep_seen else population.vocabulary.size,
    )
    return population, clients


def read_start(source: RunDirectory, known: Dataset, config: Config) -> Start:
    """Read the model of a run, with the dropout that it was trained with.

    Args:
        known: a data set with the vocabulary of the run.
    """
    graphdef, _ = nnx.split(init_model(known, config), nnx.Param)
    model = read_model(source.checkpoints, source.schema(), config.model)
    # It may come from several devices; rounds run on one.
    params = jax.device_put(nnx.split(model, nnx.Param)[1], jax.devices()[0])
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(params):
        digest.update(name_of(path).encode() + np.asarray(leaf).tobytes())
    return Start(graphdef, params, digest.hexdigest())


def judge(
    start: Start, population: Dataset, config: Config, positions: Int[np.ndarray, " n"]
) -> Ranks:
    """Rank some targets of a population by the model that the rounds begin with."""
    scorer = model_scorer(start.graphdef, start.params)
    ranking = rank(scorer, population, positions, config.data, coverage=False)
    targets = population.timelines.items[positions]
    return Ranks(ranking.users, targets, ranking.ranks, None, slices(population, positions))


def begin_whole(out: RunDirectory, config: Config, known: Dataset, record: dict[str, Any]) -> None:
    """Begin a run directory that is there whole or not at all, in the place of an older one.

    Args:
        known: the clients' data with the vocabulary of the run, whose counts are those of the log
            that it was trained on. The counts of clients are nobody's to ship.
        record: what federated.json says.
    """
    out.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.path.parent, prefix=f".{out.path.name}.") as folder:
        begun = RunDirectory(Path(folder) / "run")
        begun.begin(config, known)
        write_json(begun.path / FEDERATED, record)
        if out.path.exists():
            shutil.rmtree(out.path)
        begun.path.rename(out.path)


def require_same_settings(out: RunDirectory, settings: FederatedConfig) -> None:
    """Refuse to go on by other settings.

    Raises:
        UserError: they differ, or the directory is that of another command.
    """
    path = out.path / FEDERATED
    if not path.exists():
        raise UserError(f"--out={out.path} is no run of federated rounds; name another folder")
    saved = read_json(path)
    with reading(path):
        different = differing(saved["settings"], asdict(settings))
    if different:
        raise UserError(
            f"{out.path} was begun with other settings ({'; '.join(different)}); give its flags to "
            "resume it, --overwrite to replace it, or another --out"
        )


def require_same_start(out: RunDirectory, digest: str) -> None:
    """Refuse to go on from another model.

    Raises:
        UserError: it is another.
    """
    path = out.path / FEDERATED
    saved = read_json(path)
    with reading(path):
        is_same = saved["begins_with"] == digest
    if not is_same:
        raise UserError(
            f"{out.path} began with another model than --run-dir has now; start anew with "
            "--overwrite"
        )


def _record(
    settings: FederatedConfig, start: Start, clients: Clients, privacy: Guarantee | None
) -> dict[str, Any]:
    """Give what federated.json says."""
    return {
        "settings": asdict(settings),
        "begins_with": start.digest,
        "clients": clients.count,
        "privacy": asdict(privacy) if privacy else None,
        "privacy_said": privacy.said if privacy else [NO_GUARANTEE],
    }


def _about(clients: Clients, settings: FederatedConfig, privacy: Guarantee | None) -> list[str]:
    share = settings.clients / clients.count
    sent = {
        "encoder": "the encoder and the layers behind it; the table of items stays as it is",
        "all": "every parameter, the table of items too",
    }
    return [
        f"{clients.count:,} clients; {settings.clients:,} a round on average, each with "
        f"probability {share:.3g}; {settings.local_steps} local steps of up to "
        f"{clients.shape.length} targets",
        f"shared: {sent[settings.share]}",
        *(privacy.said if privacy else [NO_GUARANTEE]),
    ]


def _figures(ranks: Ranks) -> str:
    averages = means(target_values(ranks.ranks))
    return "  ".join(f"{metric} {averages[metric]:.4f}" for metric in METRICS)


main = command(
    run,
    remedy="free or open the place, or give another --out; a run that had begun goes on with "
    "--resume",
    interrupted="--resume goes on from the last checkpoint",
    before=keep_compiled,
)
