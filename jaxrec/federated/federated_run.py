"""A run of federated rounds: from a finished run and the clients' log to a new run."""

from dataclasses import asdict, replace

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.data.log_summary import format_summary
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.federated.accounting import NO_GUARANTEE, Guarantee, guarantee
from jaxrec.federated.client_log import ClientLog, client_config, load_clients
from jaxrec.federated.cohorts import Clients
from jaxrec.federated.initial_model import InitialModel, load_initial_model, rank_targets
from jaxrec.federated.record import (
    FederatedRecord,
    begin_federated_run,
    require_same_model,
    require_same_settings,
)
from jaxrec.federated.rounds import federate
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.comparison import METRICS, EvaluatedRun, render
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import render_table
from jaxrec.training.evaluate import evaluate_and_save
from jaxrec.training.objective import make_objective


def run_federated_experiment(
    source: RunDirectory,
    out: RunDirectory,
    log: ClientLog,
    settings: FederatedConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Continue a finished run by federated rounds, and print its figures before and after.

    Args:
        source: the finished run; it is read and not changed.
        out: the directory of the new run.
        resume: continue the unfinished run in `out`.
        overwrite: replace the run in `out`.

    Raises:
        UserError: the run, the log, the settings or the directory cannot be used.
    """
    config = client_config(source, log)
    if out.path.resolve() == source.path.resolve():
        raise UserError(f"--out={out.path} is the run that is continued; give another folder")
    out.check(config, resume=resume, overwrite=overwrite, flag="--out")
    resumed = resume and out.is_begun
    if resumed:
        require_same_settings(out, settings)
        if out.is_finished:
            print(f"{out.path} is finished\n\n{render_table(out.summary())}")
            return
    dataset, clients = load_clients(source, log, config, settings)
    print(format_summary(dataset.log_summary, config.data.dataset))
    privacy = guarantee(settings, clients.count)
    print("\n".join(f"  {line}" for line in _describe(clients, settings, privacy)), flush=True)

    # Candidates are weighted by the item counts of the source's log, not of the clients' log.
    known = replace(dataset, vocabulary=source.vocabulary())
    model = load_initial_model(source, known, config)
    before = _evaluate_initial_model(model, dataset, config)
    if resumed:
        require_same_model(out, model.digest)
        out.begin(config, known)
    else:
        lines = _privacy_lines(privacy)
        record = FederatedRecord(asdict(settings), model.digest, clients.count, privacy, lines)
        begin_federated_run(out, config, known, record)
    objective = make_objective(model.graphdef, known, config)
    noise = privacy.noise_multiplier if privacy else 0.0
    trained = federate(model.params, objective, clients, dataset, config, settings, out, noise)
    summary = evaluate_and_save(trained, dataset, config, out, unit="round")
    after = EvaluatedRun("after", summary.protocol, dataset.vocabulary.digest, out.ranks())
    runs = [after, replace(after, name="before", ranks=before)]
    print(f"\n{render_table(summary)}\n\n{render(runs)}\n")
    print("\n".join(_privacy_lines(privacy)))
    print(f"\n{out.summary_file}")


def _evaluate_initial_model(model: InitialModel, dataset: Dataset, config: Config) -> Ranks:
    """Print the figures of the initial model, and return its ranks of the test targets.

    The validation figures are printed for comparison with those of the first rounds.
    """
    test, validation = (
        rank_targets(model, dataset, config, positions)
        for positions in (dataset.split.test, dataset.split.validation)
    )
    figures = f"validation {_format_figures(validation)}; test {_format_figures(test)}"
    print(f"before the first round: {figures}", flush=True)
    return test


def _describe(clients: Clients, settings: FederatedConfig, privacy: Guarantee | None) -> list[str]:
    share = settings.clients / clients.count
    sent = {
        "encoder": "the encoder and the layers after it; the item table does not change",
        "all": "all parameters, the item table included",
    }
    return [
        f"{clients.count:,} clients; {settings.clients:,} per round on average, each with "
        f"probability {share:.3g}; {settings.local_steps} local steps of up to "
        f"{clients.shape.length} targets",
        f"shared: {sent[settings.shared_parameters]}",
        *_privacy_lines(privacy),
    ]


def _privacy_lines(privacy: Guarantee | None) -> list[str]:
    return privacy.description if privacy else [NO_GUARANTEE]


def _format_figures(ranks: Ranks) -> str:
    averages = means(target_values(ranks.ranks))
    return "  ".join(f"{metric} {averages[metric]:.4f}" for metric in METRICS)
