"""Prove that a .tflite file says what the model says that it came from.

    python convert/parity.py --model=runs/synthetic-rnn-n10/export/model.tflite

Runs the file and the JAX model of its run on every held-out history, and on every way that an app
can get a history wrong. A float32 file must give the same scores in the same order; the other
recipes are judged by what their rounding does to the lists. Exit code 1 if it does not hold.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.bundle import read
from convert.compare import OVERLAP_AT, Parity, Reference, compare, refer
from convert.graph import check_operations, read_facts
from convert.guards import check_guards
from convert.histories import trials
from convert.interpreter import DeviceModel, Lists
from convert.quantize import Recipe
from convert.quiet import quiet
from convert.restore import restore
from jaxrec.command_line import run_command
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.features import ITEM

# Of a float32 file, in the units of `Parity`.
SCORE_TOLERANCE = 1e-5
TIE = 1e-6

# The mean share of the model's first ten that a file must keep, to be called that model.
LEAST_OVERLAP: dict[Recipe, float] = {"float32": 0.999, "float16": 0.98, "int8": 0.8}


@dataclass(frozen=True)
class Flags:
    """What is compared with what."""

    model: Path
    """a .tflite file that jaxrec made"""
    run_dir: Path | None = None
    """the run it came from; default: the run directory that it lies in"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; give the exit code, 1 for a file that is not equal."""
    return run_command(
        run,
        Flags,
        __doc__,
        arguments,
        remedy="name a file that can be read",
        interrupted="nothing was proven",
    )


def run(flags: Flags) -> None:
    """Compare and print.

    Raises:
        UserError: a file is missing or damaged, or the two do not belong together.
        FailedCheckError: they are not equal.
    """
    bundle = read(flags.model)
    source = restore(flags.run_dir or flags.model.absolute().parent.parent)
    if bundle.model["vocabulary"]["sha256"] != source.vocabulary.digest:
        raise UserError(
            f"{flags.model} has another vocabulary than {source.folder}; name its run with "
            "--run-dir"
        )
    recipe: Recipe = bundle.model["recipe"]
    with quiet():
        device = DeviceModel(bundle.graph)
    reference = refer(
        source.model,
        trials(source.heldout, source.vocabulary.size),
        top_k=device.top_k,
        keep_seen=bundle.model["keep_seen"],
    )
    lists = device.recommend_all(reference.tried.given)
    parity = prove(bundle.graph, device, lists, reference, recipe)
    print(
        f"{flags.model}: {recipe}, equal on {parity.histories:,} histories; score error "
        f"{parity.score_error:.1e}, order error {parity.order_error:.1e}, context error "
        f"{parity.context_error:.1e}, top-{OVERLAP_AT} overlap {parity.overlap:.4f}"
    )


def prove(
    graph: bytes, device: DeviceModel, lists: Lists, reference: Reference, recipe: Recipe
) -> Parity:
    """Check the operations of a flatbuffer, its guards, and its distance from its model.

    Args:
        device: runs the flatbuffer.
        lists: what it gives for every history of the reference.

    Raises:
        FailedCheckError: it is not what it should be; the message names the worst history.
    """
    is_tied = reference.model.item_table is reference.model.embeddings.tables[ITEM][...]
    check_operations(read_facts(graph), tables=1 if is_tied else 2)
    size = reference.model.item_bias.shape[0] - 1
    check_guards(graph, device, lists, reference.tried, size, keep_seen=reference.keep_seen)
    parity = compare(device, lists, reference)
    judge(parity, recipe)
    return parity


def judge(parity: Parity, recipe: Recipe) -> None:
    """Hold the figures against the limits of a recipe.

    Raises:
        FailedCheckError: one is too large.
    """
    limits = [("keeps too few of", 1 - parity.overlap, 1 - LEAST_OVERLAP[recipe])]
    if recipe == "float32":
        limits += [
            ("gets the scores wrong of", parity.score_error, SCORE_TOLERANCE),
            ("gets the context wrong of", parity.context_error, SCORE_TOLERANCE),
            ("gets the order wrong of", parity.order_error, TIE),
        ]
    for complaint, error, limit in limits:
        if not error <= limit:
            raise FailedCheckError(
                f"the {recipe} file {complaint} what its model recommends: an error of "
                f"{error:.2g}, more than {limit:.2g}; worst after {parity.worst}"
            )


if __name__ == "__main__":
    sys.exit(main())
