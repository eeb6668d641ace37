"""The server: aggregation of the answers of a round, and the resulting run.

This module does not depend on Flower.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.federated.accounting import NO_GUARANTEE, Guarantee, guarantee
from jaxrec.federated.averaging import RoundKeys, round_keys, server_update
from jaxrec.federated.client_log import ClientLog, client_config
from jaxrec.federated.clipping import clip
from jaxrec.federated.initial_model import InitialModel, load_initial_model
from jaxrec.federated.record import FederatedRecord, begin_federated_run
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import read_training_log
from jaxrec.runs.summary import Summary
from jaxrec.training.checkpoint import Progress, open_checkpoints, save
from jaxrec.training.evaluate import evaluate_and_save
from jaxrec.training.loop import STOP_ON, Trained
from jaxrec.training.step import TrainState
from jaxrec_flower.wire import COUNTED, NO_SEED, from_arrays

Answer = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""The update of a device by parameter name, and its counts."""


@dataclass(frozen=True)
class Source:
    """The run that is continued, with its log, on which the result is evaluated."""

    config: Config
    dataset: Dataset
    model: InitialModel


@dataclass(frozen=True)
class RoundSums:
    """Sums over the devices of some rounds.

    Attributes:
        asked: the number of devices that were asked.
        excluded: the number of these with a non-finite update, an invalid answer, or none in time.
        clipped: the number of these whose updates were clipped.
        targets: the number of targets that the devices not excluded trained on.
    """

    asked: int = 0
    excluded: int = 0
    clipped: int = 0
    targets: int = 0

    @property
    def description(self) -> str:
        """Return the sums as one line of text."""
        return (
            f"{self.asked:,} devices sampled, {self.excluded:,} excluded, "
            f"{self.clipped:,} clipped; {self.targets:,} targets"
        )

    def __add__(self, other: "RoundSums") -> "RoundSums":
        """Add field by field."""
        mine, theirs = asdict(self), asdict(other)
        return RoundSums(**{name: mine[name] + theirs[name] for name in mine})


def read_source(run: Path) -> Source:
    """Read a finished run and its log.

    Raises:
        UserError: the run or the log cannot be read, or the run cannot be federated.
    """
    source = RunDirectory(run)
    config = client_config(source, ClientLog())
    dataset = read_training_log(source, config.data, seed=config.train.seed)
    return Source(config, dataset, load_initial_model(source, dataset, config))


def draw_keys(seed: int, number: int) -> RoundKeys:
    """Return the keys of a round: from a seed, as federate.py does, or from the operating system.

    A device that has one of a round's keys can find a seed of 31 bits by trying all seeds. So keys
    that protect users are 64 bits each of the operating system's randomness.

    Args:
        seed: the seed, or NO_SEED for the operating system.
        number: the number of the round, from 0.
    """
    if seed != NO_SEED:
        return round_keys(seed, number)
    bits = [np.frombuffer(secrets.token_bytes(8), np.uint32) for _ in RoundKeys._fields]
    return RoundKeys(*(jax.random.wrap_key_data(jnp.asarray(each)) for each in bits))


def protection(
    settings: FederatedConfig, seed: int, devices: int
) -> tuple[float, Guarantee | None, list[str]]:
    """Return the noise multiplier, its guarantee to each user, and the guarantee in words.

    Raises:
        UserError: as in `guarantee`.
    """
    privacy = guarantee(settings, devices)
    if privacy is None:
        return 0.0, None, [NO_GUARANTEE]
    if seed != NO_SEED:
        return privacy.noise_multiplier, None, [f"seed={seed} is known, so noise protects no user"]
    return privacy.noise_multiplier, privacy, privacy.description


def aggregate(
    answers: Iterable[Answer], asked: int, shared: Any, settings: FederatedConfig
) -> tuple[Any, RoundSums]:
    """Sum the updates of a round; an invalid answer counts as zero.

    Each update is clipped again, because a device may run another program.

    Args:
        asked: the number of devices that were asked.
        shared: the shared parameters.
    """
    summed, told = jax.tree.map(jnp.zeros_like, shared), RoundSums(asked, excluded=asked)
    for arrays, counts in answers:
        try:
            update = from_arrays(arrays, shared)
        except UserError as error:
            print(f"an answer is excluded: {error}", flush=True)
            continue
        clipped = _clip(update, settings.clip_norm)
        if set(counts) != set(COUNTED):
            print(f"an answer is excluded: it counts {', '.join(counts)}", flush=True)
            continue
        if counts["excluded"] or not clipped.is_finite:
            continue
        summed = jax.tree.map(jnp.add, summed, clipped.update)
        told += RoundSums(0, -1, int(counts["clipped"]), int(counts["targets"]))
    return summed, told


def apply_update(
    state: TrainState, summed: Any, key: jax.Array, settings: FederatedConfig, noise: float
) -> TrainState:
    """Update the server's state by the sum of a round.

    Args:
        key: the round's key for the noise.
        noise: standard deviation of the noise, as a multiple of the norm that updates are clipped
            to.
    """
    update = jax.jit(partial(server_update, config=settings, noise_multiplier=noise))
    return update(state, summed, key)


def begin_run(
    out: RunDirectory,
    source: Source,
    settings: FederatedConfig,
    seed: int,
    devices: int,
    privacy: Guarantee | None,
    description: list[str],
) -> None:
    """Create the directory of the resulting run."""
    recorded = {**asdict(settings), "seed": None if seed == NO_SEED else seed}
    record = FederatedRecord(recorded, source.model.digest, devices, privacy, description)
    begin_federated_run(out, source.config, source.dataset, record)


def finish_run(
    out: RunDirectory,
    source: Source,
    state: TrainState,
    told: RoundSums,
    seconds: float,
) -> Summary:
    """Write the parameters, and evaluate them on the log of the source.

    Args:
        seconds: the duration of all rounds.
    """
    rounds, dataset = int(state.step), source.dataset
    scorer = model_scorer(source.model.graphdef, state.params)
    ranking = rank(scorer, dataset, dataset.split.validation, source.config.data, coverage=False)
    line = {
        "epoch": rounds,
        "step": rounds,
        # Devices do not send their loss.
        "loss": None,
        "targets": told.targets,
        "clients": told.asked,
        "left_out": told.excluded,
        "clipped": told.clipped,
        "seconds": seconds,
        "validation": means(target_values(ranking.ranks)),
        "validation_seconds": 0.0,
    }
    score = line["validation"][STOP_ON]
    progress = Progress(rounds, rounds, best_epoch=rounds, best_score=score)
    out.write_metrics([line])
    with open_checkpoints(out.checkpoints) as checkpoints:
        save(checkpoints, state, progress, score)
    trained = Trained(source.model.graphdef, state.params, [line], progress)
    return evaluate_and_save(trained, dataset, source.config, out, unit="round")


_clip = jax.jit(clip, static_argnums=1)
