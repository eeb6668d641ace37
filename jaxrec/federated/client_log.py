"""The clients' log: that of the run, or one of other users encoded by the run's vocabulary."""

from dataclasses import dataclass, field, replace

from jaxrec.config.experiment import Config
from jaxrec.config.fields import changed_flags
from jaxrec.data.dataset import Dataset
from jaxrec.data.sources.log_config import LogConfig
from jaxrec.errors import UserError
from jaxrec.federated.cohorts import Clients, make_clients
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import population_config, read_population, read_training_log
from jaxrec.training.defaults import draw_validation_users, window_shape_of


@dataclass(frozen=True)
class ClientLog:
    """The log that the clients train on.

    Attributes:
        dataset: the log, as in `jaxrec train`; None is the log of the run.
        columns: the settings for reading it that differ from those of the run's log.
    """

    dataset: str | None = None
    columns: LogConfig = field(default_factory=LogConfig)


def client_config(source: RunDirectory, log: ClientLog) -> Config:
    """Return the configuration of the new run: that of the source, with the clients' log.

    Raises:
        UserError: the source is not finished, or has features, heads or target weights.
    """
    source.require_finished()
    config, schema = source.config(), source.schema()
    unsupported = {
        "it has features": bool(schema.features),
        "it predicts more than the next item": bool(schema.heads),
        "it has target weights": config.data.target_weight is not None,
    }
    for reason, holds in unsupported.items():
        if holds:
            raise UserError(
                f"--run-dir={source.path} cannot be federated: {reason}; give a run that reads "
                "and predicts items alone"
            )
    if log.dataset is not None:
        return replace(config, data=population_config(config.data, log.dataset, log.columns))
    for flag, value in changed_flags(log.columns).items():
        raise UserError(f"{flag}={value} needs --dataset")
    return config


def load_clients(
    source: RunDirectory, log: ClientLog, config: Config, settings: FederatedConfig
) -> tuple[Dataset, Clients]:
    """Load the clients' log, and its users with training targets as clients.

    Args:
        config: the configuration that `client_config` returned.

    Raises:
        UserError: the log cannot be read, or has fewer clients than a round expects.
    """
    read = read_training_log if log.dataset is None else read_population
    dataset = draw_validation_users(read(source, config.data, seed=config.train.seed), config)
    clients = make_clients(
        dataset.timelines,
        dataset.split,
        window_shape_of(dataset, config.data, config.train),
        expected=settings.clients,
        steps=settings.local_steps,
        catalogue_size=None if config.data.keep_seen else dataset.vocabulary.size,
    )
    return dataset, clients
