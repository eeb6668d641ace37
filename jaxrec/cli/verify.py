"""Prove that a .tflite file says what the model says that it came from.

    jaxrec verify --model=runs/synthetic-rnn-n10/export/model.tflite

Runs the file and the JAX model of its run on every held-out history, and on every way that an app
can get a history wrong. A float32 file must give the same scores in the same order; the other
recipes are judged by what their rounding does to the lists. Exit code 1 if it does not hold.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxrec.cli.command_line import command
from jaxrec.conversion.verify.distance import OVERLAP_AT
from jaxrec.conversion.verify.verification import verify
from jaxrec.runtime.bundle import read_bundle
from jaxrec.training.compilation_cache import enable_compilation_cache


@dataclass(frozen=True)
class ParityFlags:
    """What is compared with what."""

    model: Path
    """a .tflite file that jaxrec made"""
    run_dir: Path | None = None
    """the run it came from; default: the run directory that it lies in"""
    new_items: Path | None = None
    """the table of items that were added to it, if there were any"""


def run(flags: ParityFlags) -> None:
    """Compare a file with its model and print the errors.

    Raises:
        UserError: a file is missing or damaged, or the file does not belong to the run.
        FailedCheckError: the file and the model are not equal.
    """
    parity = verify(flags.model, run_dir=flags.run_dir, new_items=flags.new_items)
    recipe = read_bundle(flags.model).model["recipe"]
    heads = "".join(f"{name} error {each:.1e}, " for name, each in parity.head_errors.items())
    print(
        f"{flags.model}: {recipe}, equal on {parity.histories:,} histories; score error "
        f"{parity.score_error:.1e}, order error {parity.order_error:.1e}, context error "
        f"{parity.context_error:.1e}, vector error {parity.vector_error:.1e}, "
        f"{heads}adapting error {parity.adapting_error:.1e}, top-"
        f"{OVERLAP_AT} overlap {parity.overlap:.4f}"
    )


main = command(
    run,
    remedy="name a file that can be read",
    interrupted="nothing was proven",
    before=enable_compilation_cache,
)
