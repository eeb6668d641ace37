r"""Measure recall over epsilon, by federated rounds with different amounts of noise.

    python experiments/studies/privacy_curve/privacy_curve.py --run-dir=runs/shipped \
        --dataset=populations/others.csv

For each of --epsilons, and once without noise, federated rounds continue the run, with the flags of
experiments/federate.py. All models are evaluated on the same users as the run itself. --ceiling
names a run that was trained on the clients' log too, as an upper bound.

All files are in one folder, and the same command continues an interrupted study. Writes table.md
and recall_vs_epsilon.png there.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from jaxrec.cli.command_line import command
from jaxrec.config.experiment import Config
from jaxrec.config.fields import Flat
from jaxrec.data.dataset import Dataset
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import bootstrap_intervals, means, target_values
from jaxrec.federated.accounting import guarantee
from jaxrec.federated.client_log import ClientLog, client_config, load_clients
from jaxrec.federated.federated_run import run_federated_experiment
from jaxrec.federated.initial_model import InitialModel, load_initial_model, rank_targets
from jaxrec.federated.record import load_record, require_same_model
from jaxrec.federated.settings import FederatedConfig
from jaxrec.files import replacing
from jaxrec.runs.comparison import differences
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.plots import label_ends, save_plot, separate_labels, two_panels
from jaxrec.runs.population import read_population
from jaxrec.runs.ranks import Ranks
from jaxrec.training.compilation_cache import enable_compilation_cache

METRICS = ("recall@10", "ndcg@10")
PLOTTED_METRIC = "recall@10"


@dataclass(frozen=True, kw_only=True)
class PrivacyFlags:
    """Run to continue, the log of its clients, and the values of epsilon."""

    run_dir: Path
    """directory of a finished run, which is not changed"""
    dataset: str | None = None
    """log of the clients, as for `jaxrec train`; default: the log of the run"""
    log: LogConfig = field(default_factory=LogConfig)
    federated: Flat[FederatedConfig] = field(default_factory=FederatedConfig)
    epsilons: str = "1,2,4,8,16"
    """values of epsilon, separated by commas"""
    ceiling: Path | None = None
    """with --dataset: a finished run that was trained on the clients' log too"""
    folder: Path = Path("runs/privacy-curve")
    """folder of all files"""


@dataclass(frozen=True)
class ModelFigures:
    """The figures of a model on the clients' log.

    Attributes:
        name: its label in the table and in the plot.
        noise: the noise multiplier of its rounds; None without noise.
        epsilon: the epsilon that this guarantees; None: no guarantee.
        test: the ranks of the test targets.
        validation: the plotted metric on the validation targets, by number of rounds.
    """

    name: str
    noise: float | None
    epsilon: float | None
    test: Ranks
    validation: dict[int, float]

    @property
    def plotted(self) -> float:
        """Return the plotted metric on the test targets."""
        return means(target_values(self.test.ranks))[PLOTTED_METRIC]


def run(flags: PrivacyFlags) -> None:
    """Run the missing rounds, evaluate all models, and write table and plot.

    Raises:
        UserError: an error that the user can fix.
    """
    plans = plan(flags)
    source, log = RunDirectory(flags.run_dir), ClientLog(flags.dataset, flags.log)
    config = client_config(source, log)
    population, clients = load_clients(source, log, config, flags.federated)
    for each in plans.values():
        # Raises for an epsilon that is out of reach, before hours of rounds.
        guarantee(each, clients.count)
    known = replace(population, vocabulary=source.vocabulary())
    model = load_initial_model(source, known, config)
    shipped = evaluate_model("as shipped", model, population, config)
    ceiling = None if flags.ceiling is None else read_ceiling(flags, population, shipped)
    continued = []
    for name, settings in plans.items():
        out = RunDirectory(flags.folder / name)
        print(f"\n{out.path}", flush=True)
        run_federated_experiment(source, out, log, settings, resume=True)
        continued.append(read_model_figures(out, settings, model.digest, shipped))
    table = render(shipped, continued, ceiling)
    with replacing(flags.folder / "table.md") as file:
        file.write(table.encode())
    settings = flags.federated
    title = (
        f"{clients.count:,} clients, {settings.rounds:,} rounds of {settings.clients:,}, "
        f"shared: {settings.shared_parameters}; "
        "bars are 95% intervals of the difference to the shipped model"
    )
    save_plot(draw(shipped, continued, ceiling, title), flags.folder / "recall_vs_epsilon.png")
    print(f"\n{table}")


def plan(flags: PrivacyFlags) -> dict[str, FederatedConfig]:
    """Return the settings of each run by name: each epsilon in ascending order, then no noise.

    Raises:
        UserError: an epsilon is not a number, or the flags contradict each other.
    """
    settings = flags.federated
    if settings.is_noisy:
        raise UserError("--epsilon and --noise-multiplier do not apply here; give --epsilons")
    if flags.ceiling is not None and flags.dataset is None:
        raise UserError(f"--ceiling={flags.ceiling} needs --dataset")
    try:
        epsilons = sorted({float(text) for text in flags.epsilons.split(",")})
    except ValueError:
        raise UserError(
            f"--epsilons={flags.epsilons} is not a list of numbers, as in 1,8"
        ) from None
    noisy = {f"epsilon-{each:g}": replace(settings, epsilon=each) for each in epsilons}
    return {**noisy, "no-noise": settings}


def evaluate_model(
    name: str, model: InitialModel, population: Dataset, config: Config
) -> ModelFigures:
    """Evaluate a model before any round."""
    split = population.split
    test, validation = (
        rank_targets(model, population, config, positions)
        for positions in (split.test, split.validation)
    )
    return ModelFigures(
        name, None, None, test, {0: means(target_values(validation.ranks))[PLOTTED_METRIC]}
    )


def read_model_figures(
    out: RunDirectory, settings: FederatedConfig, digest: str, shipped: ModelFigures
) -> ModelFigures:
    """Read the ranks and the validation figures of a finished run.

    Args:
        digest: the digest of the shipped model.

    Raises:
        UserError: the run began with another model.
    """
    require_same_model(out, digest)
    privacy, lines = load_record(out).privacy, out.metrics(settings.rounds)
    return ModelFigures(
        "no noise" if privacy is None else f"epsilon {settings.epsilon:g}",
        None if privacy is None else privacy.noise_multiplier,
        None if privacy is None else settings.epsilon,
        out.ranks(),
        shipped.validation | {line["epoch"]: line["validation"][PLOTTED_METRIC] for line in lines},
    )


def read_ceiling(flags: PrivacyFlags, population: Dataset, shipped: ModelFigures) -> ModelFigures:
    """Evaluate the run of --ceiling, with its own vocabulary.

    Args:
        population: the clients' log, encoded by the vocabulary of --run-dir.

    Raises:
        UserError: the run is not finished, or has other targets or candidates.
    """
    assert flags.ceiling is not None
    run = RunDirectory(flags.ceiling)
    config = client_config(run, ClientLog(flags.dataset, flags.log))
    own = read_population(run, config.data, seed=config.train.seed)
    model = load_initial_model(run, replace(own, vocabulary=run.vocabulary()), config)
    found = evaluate_model("ceiling", model, own, config)
    if _ranking_task(found.test, own) != _ranking_task(shipped.test, population):
        raise UserError(
            f"--ceiling={flags.ceiling} has other targets or candidates than --run-dir; train it "
            "on both logs, restricted to the items of --run-dir"
        )
    return found


def _ranking_task(ranks: Ranks, population: Dataset) -> tuple[list[int], list[str], list[str]]:
    """Return the users, their targets and the candidates, with items as strings."""
    items = population.vocabulary.values.cast(pl.String)
    targets = items.gather(ranks.targets - 1)
    return ranks.users.tolist(), targets.to_list(), items.sort().to_list()


def render(
    shipped: ModelFigures, continued: Sequence[ModelFigures], ceiling: ModelFigures | None
) -> str:
    """Format the figures as a Markdown table, with paired differences to the shipped model."""
    lines = [
        "| | noise multiplier | recall@10 | NDCG@10 | difference of recall@10 | of NDCG@10 |",
        "|---|---|---|---|---|---|",
    ]
    for each in [shipped, *continued, *([ceiling] if ceiling else [])]:
        averages = means(target_values(each.test.ranks))
        compared = differences(each.test, shipped.test, METRICS)
        cells = [
            each.name,
            "" if each.noise is None else f"{each.noise:.3g}",
            *(f"{averages[name]:.4f}" for name in METRICS),
            *("" if each is shipped else cell.strip() for cell in compared),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(
    shipped: ModelFigures,
    continued: Sequence[ModelFigures],
    ceiling: ModelFigures | None,
    title: str,
) -> Figure:
    """Plot recall over epsilon and over the rounds."""
    figure, (by_epsilon, by_round) = two_panels(title)
    levels = [shipped, *([ceiling] if ceiling else [])]
    noisy = [each for each in continued if each.epsilon is not None]
    epsilons = [each.epsilon for each in noisy if each.epsilon is not None]
    by_epsilon.set_xscale("log")
    by_epsilon.set_xticks(epsilons, [f"{each:g}" for each in epsilons])
    by_epsilon.minorticks_off()
    by_epsilon.plot(epsilons, [each.plotted for each in noisy], marker="o", color="black")
    for each, epsilon in zip(noisy, epsilons, strict=True):
        low, high = interval(each.test, shipped.test)
        by_epsilon.vlines(epsilon, shipped.plotted + low, shipped.plotted + high, color="black")
    by_epsilon.set(xlabel="epsilon", ylabel=f"{PLOTTED_METRIC}, test targets")
    ends = []
    for each in [*levels, *(one for one in continued if one.epsilon is None)]:
        by_epsilon.axhline(each.plotted, color="grey", linestyle=":")
        ends.append((each.name, each.plotted, "grey"))
    labels = label_ends(by_epsilon, ends)

    ends = []
    for each in levels:
        by_round.axhline(each.validation[0], color="grey", linestyle=":")
        ends.append((each.name, each.validation[0], "grey"))
    for number, each in enumerate(continued):
        colour = f"C{number}"
        values = list(each.validation.values())
        by_round.plot(list(each.validation), values, color=colour)
        ends.append((each.name, values[-1], colour))
    by_round.set(xlabel="rounds", ylabel=f"{PLOTTED_METRIC}, validation targets")
    labels += label_ends(by_round, ends)
    separate_labels(figure, labels)
    return figure


def interval(one: Ranks, other: Ranks) -> tuple[float, float]:
    """Compute the 95% interval of the difference of the plotted metric, by paired bootstrap."""
    difference = (
        target_values(one.ranks)[PLOTTED_METRIC] - target_values(other.ranks)[PLOTTED_METRIC]
    )
    return bootstrap_intervals({PLOTTED_METRIC: difference}, one.users)[PLOTTED_METRIC]


main = command(
    run,
    remedy="free disk space or change permissions, or give another --folder",
    interrupted="the same command continues",
    before=enable_compilation_cache,
)

if __name__ == "__main__":
    sys.exit(main())
