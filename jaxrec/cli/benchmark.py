"""Compare the latency of .tflite files, timed in turn in one process, on one thread.

    jaxrec benchmark runs/ml-1m-rnn-n10/export/model.tflite --against published.tflite

The positional arguments are files of jaxrec. --against names another recommender in the format of
the 2020 system: its input is the raw item ids of a history, oldest first, padded with zeros at the
end; its outputs are the ids of the best items and their scores. A file in its run directory is
timed on the run's held-out histories, and the table has its recall@10 on these users. Files of
--against get the histories of the first file. Compare ratios: the times depend on the machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from jaxtyping import Float

from jaxrec.cli.command_line import command, named_file
from jaxrec.conversion.flatbuffer import read_facts
from jaxrec.conversion.inputs import as_inputs, take_rows
from jaxrec.conversion.measure.latency import (
    TimedModel,
    load_interpreter,
    load_timed_model,
    machine_name,
    measure_latency,
    percentiles,
)
from jaxrec.conversion.measure.peer import peer_histories, peer_recall, read_peer
from jaxrec.conversion.measure.recall import compute_recall
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.errors import UserError
from jaxrec.files import write_json
from jaxrec.runs.directory import RunDirectory
from jaxrec.runs.heldout import Heldout
from jaxrec.runs.text_table import format_table
from jaxrec.runtime.bundle import Bundle, read_bundle
from jaxrec.runtime.interpreter import HISTORY, DeviceModel, Inputs
from jaxrec.schema import ITEM

# Different histories to time a file on; more are not needed for the number of timed calls.
_HISTORIES = 2000


@dataclass(frozen=True)
class TimingFlags:
    """Files to time."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """files that `jaxrec export` wrote"""
    against: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """another recommender to compare with, as FILE or NAME=FILE; may be repeated"""
    rounds: int = 40
    """blocks of 50 calls per file"""
    json: Path | None = None
    """write the figures to this file too, as JSON"""


@dataclass(frozen=True)
class TimedFile:
    """A file to time, and its line of the table."""

    name: str
    file_bytes: int
    weight_bytes: int
    timed_model: TimedModel
    recall: float | None

    def figures(self, times: Float[np.ndarray, " calls"]) -> dict[str, Any]:
        """Return the file's figures as JSON values, given the time of each call, µs."""
        return {
            "name": self.name,
            "file_bytes": self.file_bytes,
            "weight_bytes": self.weight_bytes,
            "recall@10": self.recall,
            "microseconds": percentiles(times),
        }


def run(flags: TimingFlags) -> None:
    """Time the files and print a table.

    Raises:
        UserError: no file is named, or one cannot be timed.
    """
    if not flags.models:
        raise UserError("no model; give at least one .tflite file")
    bundles = [read_bundle(path) for path in flags.models]
    heldouts = list(map(_read_heldout, flags.models, bundles))
    named = [named_file("--against", text) for text in flags.against]
    peers = [(name, read_peer(path)) for name, path in named]
    with suppress_output():
        files = list(map(_load_file, flags.models, bundles, heldouts))
        files += [
            _load_peer(name, graph, flags.models[0], bundles[0], heldouts[0])
            for name, graph in peers
        ]
    times = measure_latency([file.timed_model for file in files], rounds=flags.rounds)
    figures = [file.figures(each) for file, each in zip(files, times, strict=True)]
    if flags.json:
        write_json(flags.json, figures)
    print(f"{machine_name()}; {len(times[0]):,} calls each, in turn in blocks of 50; µs per call\n")
    print(_table(figures, figures[len(bundles) :]))


def _table(figures: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    """Format the figures, with a line for each file and a column for the ratio to each peer."""
    peer_times = [peer["microseconds"]["p50"] for peer in peers]
    ratios = [f"/ {peer['name']}" for peer in peers]
    cells = [["", "file", "weights", "p50", "p90", "p99", *ratios, "recall@10"]]
    for each in figures:
        times, recall = each["microseconds"], each["recall@10"]
        cells.append(
            [
                each["name"],
                f"{each['file_bytes'] / 1e3:,.0f} KB",
                f"{each['weight_bytes'] / 1e3:,.1f} KB",
                *(f"{time:.1f}" for time in times.values()),
                *(f"{times['p50'] / peer_time:.3f}" for peer_time in peer_times),
                "" if recall is None else f"{recall:.4f}",
            ]
        )
    return format_table(cells)


def _load_file(path: Path, bundle: Bundle, heldout: Heldout | None) -> TimedFile:
    """Load a jaxrec file; without its run directory, histories are random and recall is None."""
    device = DeviceModel(bundle.graph)
    size = len(bundle.items)
    if heldout is None:
        histories, recall = _draw_histories(device, size), None
    else:
        histories = as_inputs(heldout.history)
        keep_seen = not bundle.model["evaluation"]["protocol"]["excludes_history"]
        lists = device.recommend_all(histories)
        recall = compute_recall(device, lists, heldout, size, keep_seen=keep_seen)
    timed_model = load_timed_model(bundle.graph, take_rows(histories, np.s_[:_HISTORIES]))
    weights = read_facts(bundle.graph).weight_bytes
    return TimedFile(str(path), path.stat().st_size, weights, timed_model, recall)


def _draw_histories(device: DeviceModel, catalogue_size: int) -> Inputs:
    """Draw histories of uniformly random items, with all other features unknown."""
    shape = (_HISTORIES, device.history_length)
    ports = device.signatures["recommend"].inputs
    drawn = np.random.default_rng(0).integers(1, catalogue_size + 1, shape, np.int32)
    return {name: np.zeros(shape, port.dtype) for name, port in ports.items()} | {HISTORY: drawn}


def _read_heldout(path: Path, bundle: Bundle) -> Heldout | None:
    """Read the held-out histories of a file's run directory; None if it has none that fit."""
    directory = RunDirectory(path.absolute().parent.parent)
    if not directory.is_finished:
        return None
    heldout = directory.heldout()
    fits = heldout.history[ITEM].shape[1] == bundle.model["history_length"]
    return heldout if fits else None


def _load_peer(
    name: str, graph: bytes, model_path: Path, bundle: Bundle, heldout: Heldout | None
) -> TimedFile:
    """Load a peer, with the held-out histories of the first model's run as inputs."""
    items = [item for item in bundle.items if isinstance(item, int)]
    if heldout is None or len(items) < len(bundle.items):
        raise UserError(
            f"{model_path} must be in its run directory and have integers as items, so that "
            f"{name} can be timed on the same histories; give such a file first"
        )
    interpreter = load_interpreter(graph)
    timed_model = TimedModel(interpreter, [peer_histories(interpreter, heldout, items)])
    recall = peer_recall(timed_model, heldout, items)
    return TimedFile(name, len(graph), read_facts(graph).weight_bytes, timed_model, recall)


main = command(run, remedy="give a file that can be read", interrupted="nothing was written")
