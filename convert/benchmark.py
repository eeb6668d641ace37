"""Time .tflite files against each other, in turn in one process, on one thread.

    python convert/benchmark.py runs/ml-1m-rnn-n10/export/model.tflite --against published.tflite

Files of jaxrec come first, as many as you like. A peer is any recommender of the 2020 system's
shape: raw item ids of a history in, oldest first, zeros at the end; the ids of the best items and
their scores out. Where a file lies in its run directory, it is timed on the run's held-out
histories, and recall@10 on these users stands beside the time; peers get the histories and users of
the first file. Compare the ratios: the times are this machine's.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from convert.bundle import Bundle, read
from convert.graph import read_facts
from convert.interpreter import DeviceModel
from convert.latency import Contender, load, machine, measure, percentiles
from convert.peer import peer_histories, peer_recall, read_peer
from convert.quiet import quiet
from convert.recall import recall_through
from jaxrec.command_line import run_command
from jaxrec.errors import UserError
from jaxrec.features import ITEM
from jaxrec.files import write_json
from jaxrec.heldout import Heldout, load_heldout
from jaxrec.run_directory import HELDOUT
from jaxrec.text_table import lay_out

# As long as a call is timed, so many different histories are enough.
_HISTORIES = 2000


@dataclass(frozen=True)
class Flags:
    """What is timed."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """files that jaxrec made"""
    against: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """a peer to compare with; give the flag again for another"""
    rounds: int = 40
    """blocks of 50 calls for each file"""
    json: Path | None = None
    """write the figures there too, for programs"""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    file_bytes: int
    weight_bytes: int
    contender: Contender
    recall: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; give the exit code."""
    return run_command(
        run,
        Flags,
        __doc__,
        arguments,
        remedy="name a file that can be read",
        interrupted="nothing was kept",
    )


def run(flags: Flags) -> None:
    """Measure and print.

    Raises:
        UserError: a file is not what it should be.
    """
    if not flags.models:
        raise UserError("no model; name at least one .tflite file")
    bundles = [read(path) for path in flags.models]
    heldouts = list(map(_heldout, flags.models, bundles))
    peers = [read_peer(path) for path in flags.against]
    with quiet():
        rows = list(map(_own, flags.models, bundles, heldouts))
        rows += [
            _theirs(path, peer, flags.models[0], bundles[0], heldouts[0])
            for path, peer in zip(flags.against, peers, strict=True)
        ]
    times = measure([row.contender for row in rows], rounds=flags.rounds)
    figures = [percentiles(each) for each in times]
    if flags.json:
        write_json(flags.json, _figures_of(rows, figures))
    marks = figures[len(bundles) :]
    print(f"{machine()}; {len(times[0]):,} calls each, in turn in blocks of 50; µs a call\n")
    head = ["", "file", "weights", "p50", "p90", "p99"]
    head += [f"/ {path.stem}" for path in flags.against] + ["recall@10"]
    table = [head]
    for row, figure in zip(rows, figures, strict=True):
        recall = "" if row.recall is None else f"{row.recall:.4f}"
        table.append(
            [
                row.name,
                f"{row.file_bytes / 1e3:,.0f} KB",
                f"{row.weight_bytes / 1e3:,.1f} KB",
                *(f"{time:.1f}" for time in figure.values()),
                *(f"{figure['p50'] / mark['p50']:.3f}" for mark in marks),
                recall,
            ]
        )
    print(lay_out(table))


def _figures_of(
    rows: Sequence[Row], figures: Sequence[Mapping[str, float]]
) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "file_bytes": row.file_bytes,
            "weight_bytes": row.weight_bytes,
            "recall@10": row.recall,
            "microseconds": figure,
        }
        for row, figure in zip(rows, figures, strict=True)
    ]


def _own(path: Path, bundle: Bundle, heldout: Heldout | None) -> Row:
    """Load a file of ours; without its run directory histories are drawn, and recall is None."""
    device = DeviceModel(bundle.graph)
    size = len(bundle.items)
    if heldout is None:
        drawn = np.random.default_rng(0).integers(1, size + 1, (_HISTORIES, device.history_length))
        histories, recall = drawn.astype(np.int32), None
    else:
        histories = heldout.history[ITEM][:_HISTORIES]
        keep_seen = bundle.model["evaluation"]["protocol"]["seen_items"] == "kept"
        lists = device.recommend_all(heldout.history[ITEM])
        recall = recall_through(device, lists, heldout, size, keep_seen=keep_seen)
    batches = np.stack(device.batches(histories))
    contender = Contender(load(bundle.graph), batches.reshape(len(batches), -1))
    weights = read_facts(bundle.graph).weight_bytes
    return Row(str(path), path.stat().st_size, weights, contender, recall)


def _heldout(path: Path, bundle: Bundle) -> Heldout | None:
    """Read the held-out histories of the run directory in which a file lies, if it lies in one."""
    place = path.absolute().parent.parent / HELDOUT
    if not place.exists():
        return None
    heldout = load_heldout(place)
    fits = heldout.history[ITEM].shape[1] == bundle.model["history_length"]
    return heldout if fits else None


def _theirs(
    path: Path, graph: bytes, model_path: Path, bundle: Bundle, heldout: Heldout | None
) -> Row:
    """Load a peer, and give it the histories of the first model's users."""
    items = [item for item in bundle.items if isinstance(item, int)]
    if heldout is None or len(items) < len(bundle.items):
        raise UserError(
            f"{model_path} must lie in its run directory and have numbers for items, so that "
            f"{path} can be given the same histories"
        )
    interpreter = load(graph)
    contender = Contender(interpreter, peer_histories(interpreter, heldout, items))
    recall = peer_recall(contender, heldout, items)
    return Row(path.stem, len(graph), read_facts(graph).weight_bytes, contender, recall)


if __name__ == "__main__":
    sys.exit(main())
