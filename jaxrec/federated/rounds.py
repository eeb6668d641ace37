"""Rounds: one after the other, a validation and a checkpoint after every tenth and the last."""

import time
from typing import Any

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.errors import UserError
from jaxrec.evaluation.metrics import means, target_values
from jaxrec.evaluation.ranking import model_scorer, rank
from jaxrec.federated.averaging import Round, RoundFacts, begin, make_round, round_keys
from jaxrec.federated.cohorts import Clients, draw_cohort, places_for
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import Progress, open_checkpoints, restore_latest, save
from jaxrec.training.loop import STOP_ON, Trained
from jaxrec.training.objective import Objective
from jaxrec.training.step import TrainState

ROUNDS_A_CHECKPOINT = 10


def federate(
    params: nnx.State,
    objective: Objective,
    clients: Clients,
    dataset: Dataset,
    config: Config,
    settings: FederatedConfig,
    directory: RunDirectory,
    noise_multiplier: float,
) -> Trained:
    """Do all rounds, from the latest checkpoint in the run directory if there is one.

    The last parameters are kept: to choose by the validation would tell of users beside what is
    accounted for.

    Args:
        params: of the run that is continued.
        dataset: of the clients; what is validated on.

    Raises:
        UserError: what came back was no numbers, or a checkpoint does not fit.
    """
    one_round = make_round(objective, settings, noise_multiplier)
    state, progress = begin(params, settings), Progress()
    with open_checkpoints(directory.checkpoints) as checkpoints:
        restored = restore_latest(checkpoints, state)
        if restored:
            state, progress = restored
        else:
            # A round takes its state, and the caller's parameters are still read.
            state = jax.tree.map(jax.numpy.copy, state)
        lines = directory.metrics(progress.step)
        with tqdm(total=settings.rounds, initial=progress.step, unit="round", disable=None) as bar:
            while progress.step < settings.rounds:
                count = min(ROUNDS_A_CHECKPOINT, settings.rounds - progress.step)
                first = progress.step
                state, line = _some_rounds(one_round, state, first, count, clients, settings, bar)
                started = time.perf_counter()
                scorer = model_scorer(objective.graphdef, state.params)
                ranking = rank(
                    scorer, dataset, dataset.split.validation, config.data, coverage=False
                )
                line["validation"] = means(target_values(ranking.ranks))
                line["validation_seconds"] = time.perf_counter() - started
                done, score = first + count, line["validation"][STOP_ON]
                progress = Progress(done, done, best_epoch=done, best_score=score)
                lines.append(line)
                # Metrics first: a run killed between the two repeats the rounds and their line.
                directory.write_metrics(lines)
                # The last round is kept, whatever its score.
                save(checkpoints, state, progress, float(done))
                bar.write(_said(line, settings))
    return Trained(objective.graphdef, state.params, lines, progress)


def _some_rounds(
    one_round: Round,
    state: TrainState,
    first: int,
    count: int,
    clients: Clients,
    settings: FederatedConfig,
    bar: tqdm,
) -> tuple[TrainState, dict[str, Any]]:
    """Do rounds from `first` on.

    Returns:
        The next state, and their line for metrics.jsonl.
    """
    started, sums = time.perf_counter(), np.zeros(len(RoundFacts._fields))
    for number in range(first, first + count):
        keys = round_keys(settings.seed, number)
        cohort = draw_cohort(keys.cohort, clients.count, settings.clients)
        places = places_for(len(cohort), clients.count, settings.clients)
        cohort = np.pad(cohort, (0, places - len(cohort)), constant_values=-1).astype(np.int32)
        state, told = one_round(state, cohort, clients.gather(cohort, keys.windows))
        told = RoundFacts(*(float(each) for each in told))
        if told.clients and told.clients == told.left_out:
            raise UserError(
                f"no client of round {number + 1} sent back numbers; start anew with a lower "
                "--local-learning-rate or --server-learning-rate (the last checkpoint is still "
                "good)"
            )
        sums += told
        seconds = time.perf_counter() - started
        bar.set_postfix_str(f"{60 * sums[0] / seconds:,.0f} clients a minute")
        bar.update(1)
    told = RoundFacts(*sums.tolist())
    return state, {
        "epoch": first + count,
        "step": first + count,
        "loss": told.loss / max(told.clients - told.left_out, 1),
        "targets": int(told.targets),
        "clients": int(told.clients),
        "left_out": int(told.left_out),
        "clipped": int(told.shortened),
        "seconds": time.perf_counter() - started,
    }


def _said(line: dict[str, Any], settings: FederatedConfig) -> str:
    clients, validation = line["clients"], line["validation"]
    left_out = f", {line['left_out']} left out: no numbers" if line["left_out"] else ""
    return (
        f"round {line['epoch']:>4}/{settings.rounds}  loss {line['loss']:.4f}  "
        f"validation recall@10 {validation['recall@10']:.4f}  ndcg@10 {validation['ndcg@10']:.4f}  "
        f"{clients:,} clients{left_out}, {line['clipped'] / max(clients, 1):.0%} clipped, "
        f"{60 * clients / line['seconds']:,.0f} a minute"
    )
