"""Verification of an exported .tflite file on emulated cores of phones."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxrec.conversion.recipes import Recipe
from jaxrec.conversion.suppress_output import suppress_output
from jaxrec.conversion.verify.distance import OVERLAP_AT, Parity, Reference
from jaxrec.conversion.verify.emulator import (
    Core,
    EmulatedModel,
    Emulator,
    cores_of,
    start_emulator,
)
from jaxrec.conversion.verify.proof import verify_device
from jaxrec.conversion.verify.sysroot import Sysroot, prepare_sysroot
from jaxrec.conversion.verify.verification import load_reference
from jaxrec.errors import FailedCheckError
from jaxrec.runtime.interpreter import DeviceModel, RankedItems

# Held-out histories, evenly spaced. A call takes milliseconds, and a history several calls.
HISTORIES = 200

# Least mean share of this machine's first ten items that a core has to keep. Rounding moves one
# item in two thousand; the wrong products of an emulator moved every sixth.
MIN_CORE_OVERLAP = 0.98


@dataclass(frozen=True)
class CoreParity:
    """Distance of a file on an emulated core from its model, and from the file on this machine.

    Attributes:
        core: the name of the core.
        parity: its distance from the JAX model.
        equal_lists: number of histories with the same first ten items as on this machine.
        overlap: mean share of these items among the first ten on the core.
        score_difference: largest difference of a score in a list.
    """

    core: str
    parity: Parity
    equal_lists: int
    overlap: float
    score_difference: float


def verify_on_arm64(
    model: str | Path, *, run_dir: str | Path | None = None, new_items: str | Path | None = None
) -> list[CoreParity]:
    """Compare a .tflite file on emulated ARM64 cores with the JAX model of its run.

    HISTORIES of the held-out histories are compared, and some of them with the mistakes that an app
    may make, with the checks and limits of `verify`.

    Args:
        model: a .tflite file that `jaxrec.export` wrote.
        run_dir: directory of its run; None: the run directory that contains the file.
        new_items: table of the new items in the file, if there are any.

    Raises:
        UserError: if a file is missing or damaged, or the emulator cannot be prepared.
        FailedCheckError: if the file does not match its model on a core, which the message names.
    """
    sysroot = prepare_sysroot()
    bundle, reference = load_reference(model, run_dir, new_items, HISTORIES)
    return verify_on_cores(bundle.graph, reference, bundle.model["recipe"], sysroot)


def verify_on_cores(
    graph: bytes, reference: Reference, recipe: Recipe, sysroot: Sysroot
) -> list[CoreParity]:
    """Compare a flatbuffer on every core with its model, as many cores at once as this machine has.

    Raises:
        FailedCheckError: if a check fails on a core, which the message names.
    """
    here = run_here(graph, reference)

    def verify_on(core: Core) -> CoreParity:
        with start_emulator(sysroot, core) as emulator:
            return verify_on_core(graph, reference, recipe, here, emulator)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(verify_on, cores_of(sysroot)))


def run_here(graph: bytes, reference: Reference) -> RankedItems:
    """Return the lists of a flatbuffer on this machine, for every history of the reference."""
    with suppress_output():
        return DeviceModel(graph).recommend_all(reference.trials.inputs)


def verify_on_core(
    graph: bytes, reference: Reference, recipe: Recipe, here: RankedItems, emulator: Emulator
) -> CoreParity:
    """Compare a flatbuffer on one core with its model, and with its lists on this machine.

    Raises:
        FailedCheckError: if a check fails; the message names the core.
    """
    try:
        device = EmulatedModel(graph, emulator)
        verified = verify_device(device, graph, reference, recipe)
    except FailedCheckError as error:
        raise FailedCheckError(f"on {emulator.core.name}, {error}") from None
    figures = compare_lists(emulator.core.name, verified.parity, verified.lists, here)
    check_overlap(figures)
    return figures


def check_overlap(figures: CoreParity) -> None:
    """Check the lists of a core against those of this machine.

    Raises:
        FailedCheckError: if they have too few items in common.
    """
    if not figures.overlap >= MIN_CORE_OVERLAP:
        raise FailedCheckError(
            f"on {figures.core}, the file keeps {figures.overlap:.4f} of this machine's top ten, "
            f"less than {MIN_CORE_OVERLAP}"
        )


def compare_lists(core: str, parity: Parity, found: RankedItems, here: RankedItems) -> CoreParity:
    """Compare the lists of a core with those of this machine."""
    ten, ten_here = found.ids[:, :OVERLAP_AT], here.ids[:, :OVERLAP_AT]
    return CoreParity(
        core,
        parity,
        equal_lists=int((ten == ten_here).all(axis=1).sum()),
        overlap=float((ten[:, :, None] == ten_here[:, None, :]).any(axis=2).mean()),
        score_difference=float(np.abs(found.scores - here.scores).max()),
    )


def render(figures: Sequence[CoreParity]) -> list[list[str]]:
    """Return the cells of a table with a row for each core."""
    rows = [
        [
            each.core,
            f"{each.equal_lists} of {each.parity.histories}",
            f"{each.overlap:.4f}",
            f"{each.score_difference:.1e}",
            f"{each.parity.overlap:.4f}",
            f"{each.parity.score_error:.1e}",
        ]
        for each in figures
    ]
    heading = ["core", "equal lists", "overlap", "score", "overlap, JAX", "score, JAX"]
    return [heading, *rows]
