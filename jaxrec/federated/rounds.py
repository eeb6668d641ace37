"""The loop over rounds, with validation and a checkpoint after every tenth round and the last."""

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
from jaxrec.federated.averaging import Round, RoundFacts, init_server_state, make_round, round_keys
from jaxrec.federated.cohorts import Clients, draw_cohort, padded_cohort_size
from jaxrec.federated.settings import FederatedConfig
from jaxrec.runs.directory import RunDirectory
from jaxrec.training.checkpoint import Progress, open_checkpoints, restore_latest, save
from jaxrec.training.loop import STOP_ON, Trained
from jaxrec.training.objective import Objective
from jaxrec.training.step import TrainState

ROUNDS_PER_CHECKPOINT = 10


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
    """Run all rounds, from the latest checkpoint in the run directory if there is one.

    The parameters of the last round are kept: selection by validation would reveal more about users
    than the guarantee accounts for.

    Args:
        params: the parameters of the run that is continued.
        dataset: the clients' log, with the validation targets.

    Raises:
        UserError: no update of a round was finite, or a checkpoint does not fit.
    """
    one_round = make_round(objective, settings, noise_multiplier)
    state, progress = init_server_state(params, settings), Progress()
    with open_checkpoints(directory.checkpoints) as checkpoints:
        restored = restore_latest(checkpoints, state)
        if restored:
            state, progress = restored
        else:
            # A round donates its state, and the caller still reads its parameters.
            state = jax.tree.map(jax.numpy.copy, state)
        lines = directory.metrics(progress.step)
        with tqdm(total=settings.rounds, initial=progress.step, unit="round", disable=None) as bar:
            while progress.step < settings.rounds:
                count = min(ROUNDS_PER_CHECKPOINT, settings.rounds - progress.step)
                first = progress.step
                state, line = _run_rounds(one_round, state, first, count, clients, settings, bar)
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
                # Metrics first: a run killed before the checkpoint repeats its rounds and line.
                directory.write_metrics(lines)
                # The number of rounds is the score, so that the last round is kept as the best.
                save(checkpoints, state, progress, float(done))
                bar.write(_format_line(line, settings))
    return Trained(objective.graphdef, state.params, lines, progress)


def _run_rounds(
    one_round: Round,
    state: TrainState,
    first: int,
    count: int,
    clients: Clients,
    settings: FederatedConfig,
    bar: tqdm,
) -> tuple[TrainState, dict[str, Any]]:
    """Run `count` rounds from round `first` on.

    Returns:
        The next state, and a line of metrics.jsonl for these rounds.
    """
    started, sums = time.perf_counter(), np.zeros(len(RoundFacts._fields))
    for number in range(first, first + count):
        keys = round_keys(settings.seed, number)
        cohort = draw_cohort(keys.cohort, clients.count, settings.clients)
        places = padded_cohort_size(len(cohort), clients.count, settings.clients)
        cohort = np.pad(cohort, (0, places - len(cohort)), constant_values=-1).astype(np.int32)
        state, facts = one_round(state, cohort, clients.gather(cohort, keys.windows))
        facts = RoundFacts(*(float(each) for each in facts))
        if facts.clients and facts.clients == facts.excluded:
            raise UserError(
                f"no update of round {number + 1} was finite; start again with a lower "
                "--local-learning-rate or --server-learning-rate (the last checkpoint is still "
                "good)"
            )
        sums += facts
        seconds = time.perf_counter() - started
        bar.set_postfix_str(f"{60 * sums[0] / seconds:,.0f} clients per minute")
        bar.update(1)
    facts = RoundFacts(*sums.tolist())
    return state, {
        "epoch": first + count,
        "step": first + count,
        "loss": facts.loss / max(facts.clients - facts.excluded, 1),
        "targets": int(facts.targets),
        "clients": int(facts.clients),
        "left_out": int(facts.excluded),
        "clipped": int(facts.clipped),
        "seconds": time.perf_counter() - started,
    }


def _format_line(line: dict[str, Any], settings: FederatedConfig) -> str:
    clients, validation = line["clients"], line["validation"]
    left_out = f", {line['left_out']} excluded: not finite" if line["left_out"] else ""
    return (
        f"round {line['epoch']:>4}/{settings.rounds}  loss {line['loss']:.4f}  "
        f"validation recall@10 {validation['recall@10']:.4f}  ndcg@10 {validation['ndcg@10']:.4f}  "
        f"{clients:,} clients{left_out}, {line['clipped'] / max(clients, 1):.0%} clipped, "
        f"{60 * clients / line['seconds']:,.0f} per minute"
    )
