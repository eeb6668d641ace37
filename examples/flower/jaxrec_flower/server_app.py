"""The Flower server: it asks devices in each round, and updates the model by their answers."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

from jaxrec.errors import UserError
from jaxrec.federated.averaging import RoundKeys, init_server_state
from jaxrec.federated.cohorts import draw_cohort
from jaxrec.federated.sharing import split_params
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.report import render_table
from jaxrec.training.compilation_cache import enable_compilation_cache
from jaxrec_flower.server import (
    Answer,
    RoundSums,
    aggregate,
    apply_update,
    begin_run,
    draw_keys,
    finish_run,
    protection,
    read_source,
)
from jaxrec_flower.wire import COUNTS, FOR_DEVICES, KEYS, PARAMETERS, UPDATE, settings_of, to_arrays

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds, and write the resulting run.

    Raises:
        UserError: an error that the user can fix.
    """
    enable_compilation_cache()
    run, patience = context.run_config, float(context.run_config["wait-seconds"])
    settings, seed = settings_of(run), int(run["seed"])
    out = RunDirectory(Path(str(run["out"])))
    source = read_source(Path(str(run["run-dir"])))
    out.check(source.config, resume=False, overwrite=False, flag="out")

    nodes = wait_for(grid, int(run["wait-for"]), patience)
    if settings.clients > len(nodes):
        raise UserError(
            f"clients={settings.clients} is more than the {len(nodes):,} connected devices; give "
            "fewer"
        )
    noise, privacy, description = protection(settings, seed, len(nodes))
    print("\n".join(description), flush=True)
    begin_run(out, source, settings, seed, len(nodes), privacy, description)
    state, told = init_server_state(source.model.params, settings), RoundSums()
    started = time.perf_counter()
    for number in range(settings.rounds):
        keys = draw_keys(seed, number)
        cohort = [nodes[each] for each in draw_cohort(keys.cohort, len(nodes), settings.clients)]
        shared, _ = split_params(state.params, settings.shared_parameters)
        answers = request_updates(grid, cohort, shared, keys, number, patience)
        summed, of_round = aggregate(answers, len(cohort), shared, settings)
        if cohort and of_round.excluded == len(cohort):
            raise UserError(f"no device answered round {number + 1} with an update; see their logs")
        state = apply_update(state, summed, keys.noise, settings, noise)
        print(f"round {number + 1}/{settings.rounds}: {of_round.description}", flush=True)
        told += of_round
    summary = finish_run(out, source, state, told, time.perf_counter() - started)
    print(f"\n{render_table(summary)}\n\n{out.summary_file}", flush=True)


def wait_for(grid: Grid, count: int, seconds: float) -> list[int]:
    """Wait until `count` devices are connected, and return the ids of all that are.

    Raises:
        UserError: too few devices connect in time.
    """
    end = time.monotonic() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < count:
        if time.monotonic() > end:
            raise UserError(f"{len(nodes)} of {count} devices connected in {seconds:g} seconds")
        time.sleep(0.5)
    return nodes


def request_updates(
    grid: Grid, nodes: Sequence[int], shared: Any, keys: RoundKeys, number: int, seconds: float
) -> list[Answer]:
    """Send devices the shared parameters and the keys that they need, and return their answers.

    The keys of the cohort and of the noise stay on the server.
    """
    parameters = _record(to_arrays(shared))
    drawn = _record({name: _key_data(getattr(keys, name)) for name in FOR_DEVICES})
    messages = [
        Message(
            RecordDict({PARAMETERS: parameters, KEYS: drawn}),
            node,
            MessageType.TRAIN,
            group_id=str(number),
        )
        for node in nodes
    ]
    return list(_answers(grid.send_and_receive(messages, timeout=seconds)))


def _answers(replies: Iterable[Message]) -> Iterable[Answer]:
    for reply in replies:
        if reply.has_error():
            print(f"a device failed: {reply.error.reason}", flush=True)
            continue
        content = reply.content
        arrays, metrics = content.array_records, content.metric_records
        if len(content) > 2 or UPDATE not in arrays or COUNTS not in metrics:
            print(f"an answer is excluded: it has {', '.join(content)}", flush=True)
            continue
        update = {name: array.numpy() for name, array in arrays[UPDATE].items()}
        yield update, dict(metrics[COUNTS])


def _record(arrays: dict[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def _key_data(key: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))
