"""The server: what it makes of the answers of a round, and the run that comes out.

Nothing here knows Flower.
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
from jaxrec.federated.averaging import RoundKeys, change, round_keys
from jaxrec.federated.client_log import ClientLog, client_config
from jaxrec.federated.clipping import clip
from jaxrec.federated.initial_model import InitialModel, load_initial_model
from jaxrec.federated.record import FederatedRecord, begin_federated_run
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.population import read_own
from jaxrec.runs.summary import Summary
from jaxrec.training.checkpoint import Progress, open_checkpoints, save
from jaxrec.training.evaluate import evaluate_and_save
from jaxrec.training.loop import STOP_ON, Trained
from jaxrec.training.step import TrainState
from jaxrec_flower.wire import COUNTED, NO_SEED, from_arrays

Answer = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""The update of a device by the names of the parameters, and its counts."""


@dataclass(frozen=True)
class Source:
    """The run that is continued, and the log that it learned from, by which it is judged."""

    config: Config
    dataset: Dataset
    model: InitialModel


@dataclass(frozen=True)
class Told:
    """What the answers of some rounds told: sums over the devices.

    Attributes:
        asked: who was asked ...
        left_out: ... of these, who sent no numbers, something else, or nothing in time ...
        shortened: ... and whose updates were clipped.
        targets: what the others learned from.
    """

    asked: int = 0
    left_out: int = 0
    shortened: int = 0
    targets: int = 0

    @property
    def said(self) -> str:
        """Say it in a line."""
        return (
            f"{self.asked:,} devices asked, {self.left_out:,} left out, "
            f"{self.shortened:,} clipped; {self.targets:,} targets"
        )

    def __add__(self, other: "Told") -> "Told":
        """Add up field by field."""
        mine, theirs = asdict(self), asdict(other)
        return Told(**{name: mine[name] + theirs[name] for name in mine})


def read_source(run: Path) -> Source:
    """Read a finished run and its log.

    Raises:
        UserError: one of them cannot be read, or the run cannot be federated.
    """
    source = RunDirectory(run)
    config = client_config(source, ClientLog())
    dataset = read_own(source, config.data, seed=config.train.seed)
    return Source(config, dataset, load_initial_model(source, dataset, config))


def draw_keys(seed: int, number: int) -> RoundKeys:
    """Draw the keys of round 0, 1, 2, ...: from a seed as federate.py does, or anew.

    Whoever has one of a round's keys finds a seed of 31 bits by trying all. So what is to protect
    somebody takes 64 bits of the operating system for each key.

    Args:
        seed: NO_SEED draws anew.
    """
    if seed != NO_SEED:
        return round_keys(seed, number)
    bits = [np.frombuffer(secrets.token_bytes(8), np.uint32) for _ in RoundKeys._fields]
    return RoundKeys(*(jax.random.wrap_key_data(jnp.asarray(each)) for each in bits))


def protection(
    settings: FederatedConfig, seed: int, devices: int
) -> tuple[float, Guarantee | None, list[str]]:
    """Give the noise multiplier, what it guarantees to each user, and how that is said.

    Raises:
        UserError: as `guarantee`.
    """
    privacy = guarantee(settings, devices)
    if privacy is None:
        return 0.0, None, [NO_GUARANTEE]
    if seed != NO_SEED:
        return privacy.noise_multiplier, None, [f"seed={seed} is known, so noise protects nobody"]
    return privacy.noise_multiplier, privacy, privacy.said


def add_up(
    answers: Iterable[Answer], asked: int, shared: Any, settings: FederatedConfig
) -> tuple[Any, Told]:
    """Sum the updates of a round up. What cannot be one counts as zero.

    Each is clipped again: whoever answers may be another program than ours.

    Args:
        asked: how many devices were.
        shared: the parameters that are shared.
    """
    summed, told = jax.tree.map(jnp.zeros_like, shared), Told(asked, left_out=asked)
    for arrays, counts in answers:
        try:
            update = from_arrays(arrays, shared)
        except UserError as error:
            print(f"an answer is left out: {error}", flush=True)
            continue
        clipped = _clip(update, settings.clip_norm)
        if set(counts) != set(COUNTED):
            print(f"an answer is left out: it counts {', '.join(counts)}", flush=True)
            continue
        if counts["left_out"] or not clipped.is_finite:
            continue
        summed = jax.tree.map(jnp.add, summed, clipped.update)
        told += Told(0, -1, int(counts["shortened"]), int(counts["targets"]))
    return summed, told


def one_round(
    state: TrainState, summed: Any, key: jax.Array, settings: FederatedConfig, noise: float
) -> TrainState:
    """Change the model by the sum of a round.

    Args:
        key: of the round, for the noise.
        noise: its deviation, as a multiple of the norm that updates are clipped to.
    """
    return jax.jit(partial(change, config=settings, noise_multiplier=noise))(state, summed, key)


def begin_run(
    out: RunDirectory,
    source: Source,
    settings: FederatedConfig,
    seed: int,
    devices: int,
    privacy: Guarantee | None,
    said: list[str],
) -> None:
    """Begin the run that comes out."""
    recorded = {**asdict(settings), "seed": None if seed == NO_SEED else seed}
    record = FederatedRecord(recorded, source.model.digest, devices, privacy, said)
    begin_federated_run(out, source.config, source.dataset, record)


def finish_run(
    out: RunDirectory,
    source: Source,
    state: TrainState,
    told: Told,
    seconds: float,
) -> Summary:
    """Write the parameters, and judge them on the log that the run had learned from.

    Args:
        seconds: of all rounds.
    """
    rounds, dataset = int(state.step), source.dataset
    scorer = model_scorer(source.model.graphdef, state.params)
    ranking = rank(scorer, dataset, dataset.split.validation, source.config.data, coverage=False)
    line = {
        "epoch": rounds,
        "step": rounds,
        # Devices do not send it.
        "loss": None,
        "targets": told.targets,
        "clients": told.asked,
        "left_out": told.left_out,
        "clipped": told.shortened,
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
