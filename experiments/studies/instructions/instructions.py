r"""Count the instructions of a call of .tflite files, by Valgrind.

    python experiments/studies/instructions/instructions.py pretrained/small-rnn.tflite \
        --against=published.tflite

Unlike a time, a count does not depend on what else the machine does. Two processes invoke each file
on the same random full histories, once and five times each; the difference has no part of Python's
start. Valgrind must be installed. It offers AVX2 at most, on every processor that has it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from ai_edge_litert.interpreter import Interpreter

from jaxrec.cli.command_line import command, named_file
from jaxrec.conversion.measure.latency import load_interpreter
from jaxrec.conversion.measure.peer import read_peer
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.runs.text_table import format_table
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.interpreter import HISTORY

INVOKE = Path(__file__).with_name("invoke.py")
EXAMPLES, REPEATS = 20, (1, 5)


@dataclass(frozen=True)
class InstructionsFlags:
    """Files to count."""

    models: tyro.conf.Positional[tuple[Path, ...]]
    """files that `jaxrec export` wrote"""
    against: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """another recommender to compare with, as FILE or NAME=FILE; may be repeated"""


def run(flags: InstructionsFlags) -> None:
    """Count the instructions of each file, and print a table.

    Raises:
        UserError: Valgrind is not installed, or a file cannot be read.
        FailedCheckError: a file ends the process.
    """
    if shutil.which("valgrind") is None:
        raise UserError("valgrind is not installed; apt-get install valgrind")
    graphs = {str(path): read_bundle(path).graph for path in flags.models}
    sizes = [len(read_bundle(path).items) for path in flags.models]
    peers = dict(named_file("--against", text) for text in flags.against)
    graphs |= {name: read_peer(path) for name, path in peers.items()}
    # Ids that every file knows.
    items = min(sizes, default=1000)
    counts = {name: count_instructions(graph, items) for name, graph in graphs.items()}
    cells = [["", "instructions", *(f"/ {name}" for name in peers)]]
    for name, count in counts.items():
        ratios = [f"{count / counts[peer]:.2f}" for peer in peers]
        cells.append([name, f"{count:,.0f}", *ratios])
    print(format_table(cells))


def count_instructions(graph: bytes, items: int) -> float:
    """Return the mean number of instructions of a call.

    Args:
        items: number of different items in the histories.
    """
    with suppress_output():
        inputs = draw_inputs(load_interpreter(graph), items)
    with tempfile.TemporaryDirectory() as folder:
        path, examples = Path(folder) / "graph.tflite", Path(folder) / "inputs.npz"
        path.write_bytes(graph)
        np.savez(examples, *inputs)
        first, last = (
            count_process([sys.executable, str(INVOKE), str(path), str(examples), str(repeats)])
            for repeats in REPEATS
        )
    return (last - first) / (EXAMPLES * (REPEATS[1] - REPEATS[0]))


def draw_inputs(interpreter: Interpreter, items: int) -> list[np.ndarray]:
    """Draw full histories for the integer matrix of a file, and zeros for its other inputs."""
    rng, drawn = np.random.default_rng(0), []
    details = interpreter.get_input_details()
    for each in details:
        shape = (EXAMPLES, *each["shape"])
        # Other recommenders have no other input.
        is_history = each["name"] == HISTORY or len(details) == 1
        values = rng.integers(1, items + 1, shape) if is_history else np.zeros(shape)
        drawn.append(values.astype(each["dtype"]))
    return drawn


def count_process(words: Sequence[str]) -> int:
    """Return the number of instructions of a process.

    Raises:
        FailedCheckError: it failed.
    """
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*tool, *words], capture_output=True, text=True, check=False)
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if done.returncode or found is None:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise FailedCheckError(f"valgrind failed: {last}")
    return int(found[1].replace(",", ""))


main = command(run, remedy="give a file that can be read", interrupted="nothing was written")

if __name__ == "__main__":
    sys.exit(main())
