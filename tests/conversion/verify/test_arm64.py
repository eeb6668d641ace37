"""Every encoder and recipe on emulated ARM64 cores, and the command with --platform=arm64."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from jaxrec.conversion.recipes import RECIPES
from jaxrec.conversion.verify import sysroot as sysroot_module
from jaxrec.conversion.verify.arm64 import (
    check_overlap,
    compare_lists,
    run_here,
    verify_on_core,
)
from jaxrec.conversion.verify.distance import Parity
from jaxrec.conversion.verify.emulator import (
    CORES,
    SME_CORE,
    Emulator,
    cores_of,
    start_emulator,
)
from jaxrec.conversion.verify.proof import MIN_OVERLAP
from jaxrec.conversion.verify.sysroot import Sysroot, prepare_sysroot
from jaxrec.errors import FailedCheckError, UserError
from jaxrec.models.encoders import ENCODERS
from jaxrec.runtime.interpreter import RankedItems
from tests.exports import call
from tests.wide_graphs import export_wide


@pytest.fixture(scope="module")
def sysroot() -> Sysroot:
    try:
        return prepare_sysroot()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def emulators(sysroot) -> Iterator[Sequence[Emulator]]:
    with ExitStack() as stack:
        yield [stack.enter_context(start_emulator(sysroot, core)) for core in cores_of(sysroot)]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("with_features", [False, True], ids=["adapt", "times and ratings"])
def test_every_recipe_matches_the_model_on_every_core(
    emulators, encoder, with_features, monkeypatch
):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    # These weights are drawn, not trained, so that rounding moves more.
    monkeypatch.setitem(MIN_OVERLAP, "float16", 0.9)
    graphs, reference = export_wide(encoder, with_features=with_features)
    assert set(graphs) == set(RECIPES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for recipe, graph in graphs.items():
            here = run_here(graph, reference)
            waiting = [
                pool.submit(verify_on_core, graph, reference, recipe, here, each)
                for each in emulators
            ]
            for each in waiting:
                found = each.result()
                assert found.parity.histories == len(reference.trials)
                assert found.score_difference < (0.1 if recipe == "int8" else 1e-4), found


@pytest.mark.slow
def test_a_wrong_processor_is_detected(sysroot):
    """QEMU 7.2 computes the int8 outer products of SME wrongly, and 10.0 correctly."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    graphs, reference = export_wide("transformer", with_features=True)
    here = run_here(graphs["int8"], reference)
    with start_emulator(sysroot, SME_CORE) as emulator:
        if SME_CORE in cores_of(sysroot):
            assert verify_on_core(graphs["int8"], reference, "int8", here, emulator).overlap > 0.98
        else:
            with pytest.raises(FailedCheckError, match=r"^on max, the"):
                verify_on_core(graphs["int8"], reference, "int8", here, emulator)


@pytest.mark.slow
def test_the_command_prints_a_table_of_cores(sysroot, models, tmp_path):
    from jaxrec.cli import verify

    done = call(verify.main, f"--model={models['rnn']}", "--platform=arm64", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary, empty, heading, *rows = done.stdout.splitlines()
    assert "top-10 overlap" in summary and not empty
    assert heading.split()[:3] == ["core", "equal", "lists"]
    assert [row.split()[0] for row in rows] == [core.name for core in cores_of(sysroot)]


def test_lists_of_a_core_are_compared_with_those_of_this_machine():
    scores = np.array([[3.0, 2.0], [3.0, 2.0]], np.float32)
    here = RankedItems(np.array([[1, 2], [3, 4]], np.int32), scores)
    other = RankedItems(np.array([[1, 2], [3, 5]], np.int32), scores - np.float32(0.25))
    found = compare_lists("a core", Parity(2, 0, 0, 0, 0, 1, ""), other, here)
    assert (found.equal_lists, found.overlap, found.score_difference) == (1, 0.75, 0.25)
    with pytest.raises(FailedCheckError, match=r"on a core, the file keeps 0\.7500 of this"):
        check_overlap(found)
    reordered = RankedItems(np.array([[2, 1], [3, 4]], np.int32), scores)
    found = compare_lists("a core", Parity(2, 0, 0, 0, 0, 1, ""), reordered, here)
    assert (found.equal_lists, found.overlap, found.score_difference) == (1, 1.0, 0.0)
    check_overlap(found)


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "has_sme"), [("7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", False), ("10.0.2", True)]
)
def test_the_core_with_sme_needs_a_recent_emulator(tmp_path, version, has_sme):
    qemu = program(tmp_path, "qemu", f"echo 'qemu-aarch64 version {version}'")
    cores = cores_of(Sysroot(qemu, tmp_path, "python3", tmp_path))
    assert cores == ((*CORES, SME_CORE) if has_sme else CORES)


def test_a_python_that_does_not_start_is_reported(tmp_path):
    qemu = program(tmp_path, "qemu", "echo 'no such core' >&2; exit 1")
    (tmp_path / "root").mkdir()
    sysroot = Sysroot(qemu, tmp_path / "root", "python3", tmp_path)
    message = r"does not start on an emulated cortex-a57 \(no such core\); delete"
    with pytest.raises(UserError, match=message), start_emulator(sysroot, CORES[0]):
        pass


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ({}, "needs apt-get, which is not installed"),
        (
            {"apt-get": "echo 'E: Unable to locate package' >&2; exit 100", "dpkg": ""},
            r"cannot download python3-minimal \(arm64\) with apt-get \(E: Unable to locate",
        ),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_cached(tmp_path, monkeypatch, programs, message):
    cache, folder = tmp_path / "cache", tmp_path / "bin"
    folder.mkdir()
    for name, script in programs.items():
        program(folder, name, script)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sysroot_module.platformdirs, "user_cache_dir", lambda _: str(cache))
    with pytest.raises(UserError, match=message):
        prepare_sysroot()
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert list((cache / "arm64").iterdir()) == []
