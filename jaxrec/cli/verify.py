"""Verify that a .tflite file returns the same results as its JAX model, or who signed it.

    jaxrec verify --model=runs/synthetic-rnn-n10/export/model.tflite

Runs the file and the JAX model of its run on all held-out histories, and again on some of them with
mistakes that an app may make. A float32 file must return the same scores in the same order; for the
other recipes, the overlap of the lists has a limit. The exit code is 1 if the file fails.

    jaxrec verify --model=runs/synthetic-rnn-n10/export/model.tflite --platform=arm64

also runs it on emulated cores of phones, for 200 held-out histories, with the same limits. The
first time, it downloads 110 MB to the user's cache by apt and pip: QEMU, unless it is installed,
and a Python for ARM64. That needs Debian, but no privilege. The table has, for each core, the lists
of ten that are equal to those of this machine, their overlap, the largest difference of a score,
and the overlap with the JAX model and the error of a score.

    jaxrec verify --model=runs/synthetic-rnn-n10/export --public-key=release.public.pem

verifies the hashes and the signature of a file, or of all files of an export, without its run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxrec.cli.command_line import command
from jaxrec.conversion.export_folder import verify_export
from jaxrec.errors import UserError
from jaxrec.runtime.bundle import read_bundle
from jaxrec.runtime.update import describe_order


@dataclass(frozen=True)
class VerifyFlags:
    """File to verify, and its run or its key."""

    model: Path
    """a .tflite file that `jaxrec export` wrote; with --public-key, also the folder of an export"""
    run_dir: Path | None = None
    """directory of its run; default: the run directory that contains the file"""
    new_items: Path | None = None
    """table of the new items in the file, if there are any"""
    platform: Literal["arm64"] | None = None
    """also verify on emulated processors of this platform"""
    public_key: Path | None = None
    """PEM file of a public key; verifies that the file is complete and signed with this key"""


def run(flags: VerifyFlags) -> None:
    """Compare a file with its model and print the errors, or verify its signature.

    Raises:
        UserError: a file is missing or damaged, not signed with the key, or does not belong to the
            run.
        FailedCheckError: the file and the model are not equal.
    """
    if flags.public_key is None:
        _compare_with_run(flags)
    else:
        _verify_signature(flags, flags.public_key)


def _verify_signature(flags: VerifyFlags, public_key: Path) -> None:
    for flag in ("--run-dir", "--new-items", "--platform"):
        if getattr(flags, flag.removeprefix("--").replace("-", "_")) is not None:
            raise UserError(f"--public-key verifies the file alone; omit {flag}")
    pem = public_key.read_text(encoding="utf-8", errors="replace")
    if flags.model.is_dir():
        model = verify_export(flags.model, pem)
    else:
        model = read_bundle(flags.model, pem).model
    print(f"{flags.model}: complete, and signed with {public_key}; {describe_order(model)}")


def _compare_with_run(flags: VerifyFlags) -> None:
    # JAX, which a signature does not need.
    from jaxrec.conversion.verify.arm64 import render, verify_on_arm64
    from jaxrec.conversion.verify.distance import OVERLAP_AT
    from jaxrec.conversion.verify.sysroot import prepare_sysroot
    from jaxrec.conversion.verify.verification import verify
    from jaxrec.runs.text_table import format_table
    from jaxrec.training.compilation_cache import enable_compilation_cache

    enable_compilation_cache()
    if flags.platform is not None:
        prepare_sysroot()  # so that what is missing is reported before the work
    parity = verify(flags.model, run_dir=flags.run_dir, new_items=flags.new_items)
    recipe = read_bundle(flags.model).model["recipe"]
    heads = "".join(f"{name} error {each:.1e}, " for name, each in parity.head_errors.items())
    print(
        f"{flags.model}: {recipe}, equal on {parity.histories:,} histories; score error "
        f"{parity.score_error:.1e}, order error {parity.order_error:.1e}, query error "
        f"{parity.context_error:.1e}, vector error {parity.vector_error:.1e}, "
        f"{heads}adapter error {parity.adapting_error:.1e}, top-"
        f"{OVERLAP_AT} overlap {parity.overlap:.4f}"
    )
    if flags.platform is not None:
        cores = verify_on_arm64(flags.model, run_dir=flags.run_dir, new_items=flags.new_items)
        print(f"\n{format_table(render(cores))}")


main = command(
    run,
    remedy="give a file that can be read",
    interrupted="nothing was verified",
)
