"""Compare the files that TensorFlow's converter and litert-converter make of runs.

    python experiments/studies/converter/converter.py runs/shop runs/other

It prints the size, errors and lists of both float32 files of each run, the operators that they do
not share, and the ratio of their latencies, timed in turn. Scores are those of all held-out
histories, complete and malformed, compared with JAX. The runs have no features and no heads.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from jaxrec.cli.command_line import command
from jaxrec.conversion.flatbuffer import finalize_graph, read_facts
from jaxrec.conversion.graph.shapes import choose_shapes
from jaxrec.conversion.measure.latency import load_timed_model, machine_name, measure_latency
from jaxrec.conversion.restore import restore_run
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.conversion.verify.distance import Reference, compare, compute_reference
from jaxrec.data.progress import show_progress
from jaxrec.errors import UserError
from jaxrec.runs.text_table import format_table
from jaxrec.runtime.interpreter import DeviceModel


@dataclass(frozen=True)
class ConverterFlags:
    """Runs to convert twice."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """directories of finished runs"""
    rounds: int = 200
    """rounds of timed calls"""


def run(flags: ConverterFlags) -> None:
    """Convert each run twice, and print what differs.

    Raises:
        UserError: if litert-converter is missing, or a run has features or heads.
    """
    try:
        from experiments.studies.converter.litert_export import export_by_litert
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is missing; pip install --no-deps litert-converter==0.5.0"
        ) from None
    from jaxrec.conversion.graph.export import export_model

    for path in show_progress(flags.runs, unit="run"):
        source = restore_run(path)
        if source.model.features or source.model.heads:
            raise UserError(f"{path} has features or heads; give a run without them")
        shapes = choose_shapes(
            batch_size=1,
            history_length=source.config.data.history_length,
            top_k=None,
            candidates=100,
            keep_seen=source.config.data.keep_seen,
            vocabulary_size=source.vocabulary.size,
        )
        graphs, seconds = [], []
        for export in (export_model, export_by_litert):
            started = time.perf_counter()
            graphs.append(finalize_graph(export(source.model, shapes), first="recommend"))
            seconds.append(f"{time.perf_counter() - started:.1f}")
        reference = compute_reference(
            source.model, source.heldout, top_k=shapes.top_k, keep_seen=shapes.keep_seen
        )
        with suppress_output():
            models = [load_timed_model(each, reference.trials.inputs) for each in graphs]
        medians = [np.median(each) for each in measure_latency(models, rounds=flags.rounds)]
        rows = compare_graphs(graphs, reference)
        rows.append(["seconds of conversion", *seconds])
        rows.append(["latency", "1", f"{medians[1] / medians[0]:.3f}"])
        print(f"{path}\n\n{format_table(rows)}\n")
    print(machine_name())


def compare_graphs(graphs: Sequence[bytes], reference: Reference) -> list[list[str]]:
    """Return the rows of a table: sizes, errors and lists, and operators whose number differs."""
    facts = [read_facts(each) for each in graphs]
    devices = [DeviceModel(each) for each in graphs]
    lists = [each.recommend_all(reference.trials.inputs) for each in devices]
    parities = [compare(*each, reference) for each in zip(devices, lists, strict=True)]
    rows = [
        ["", "TensorFlow", "litert-converter"],
        ["bytes of the graph", *(f"{len(each):,}" for each in graphs)],
        ["bytes of the weights", *(f"{each.weight_bytes:,}" for each in facts)],
        ["largest score error", *(f"{each.score_error:.1e}" for each in parities)],
        ["top-10 overlap with JAX", *(f"{each.overlap:.4f}" for each in parities)],
    ]
    same = np.mean(np.all(lists[0][0] == lists[1][0], axis=1))
    rows.append(["lists that are equal", "", f"{same:.4f}"])
    for name in sorted({name for each in facts for name in each.operators}):
        counts = [each.operators.get(name, 0) for each in facts]
        if counts[0] != counts[1]:
            rows.append([name, *map(str, counts)])
    return rows


main = command(run, remedy="give finished runs", interrupted="nothing was written")

if __name__ == "__main__":
    sys.exit(main())
