"""`min_runtime`: the oldest runtimes return the lists of a file, and excluded ones do not."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrec.conversion.flatbuffer import read_facts
from jaxrec.conversion.recipes import min_runtime
from jaxrec.conversion.verify import run_signatures
from jaxrec.files import read_arrays
from jaxrec.models.encoders import ENCODERS
from jaxrec.runtime.interpreter import DeviceModel, Inputs, RankedItems
from tests import ROOT
from tests.wide_graphs import WideGraphs, export_wide

# Scores of equal weights, in sums of another order.
TOLERANCE = 1e-3
# Versions of the time of NumPy 1, and the last one that is excluded for convolutions in float16.
OLD_NUMPY = "numpy==1.26.4"
NAN_VERSION = "ai-edge-litert==1.3.0"
# LiteRT under its former name, as the package that the runtime imports.
FORMER_NAME = "from tflite_runtime.interpreter import *\n"


@pytest.fixture(scope="module")
def python() -> str:
    """Return Python 3.11 if there is one: the oldest runtimes have no wheels for newer versions."""
    found = subprocess.run(
        [ROOT / ".ci" / "find_python", "3.11"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip() or sys.executable


def install(python: str, requirement: str, folder: Path) -> Path:
    """Install a runtime with NumPy in a folder; skip the test without a network or a wheel."""
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
    ]
    done = subprocess.run(
        [*command, "--target", folder, requirement, OLD_NUMPY],
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search(r"ConnectionError|name resolution|unreachable|No matching dist", done.stderr):
        pytest.skip(f"needs the package index, with {requirement} for this Python")
    assert done.returncode == 0, done.stderr
    if requirement.startswith("tflite-runtime"):
        package = folder / "ai_edge_litert"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "interpreter.py").write_text(FORMER_NAME)
    return folder


def recommend_in(python: str, packages: Path, graphs: dict[str, bytes], inputs: Inputs) -> dict:
    """Return the lists of each graph, by the runtime in a folder, in a process of its own."""
    folder = packages / "calls"
    folder.mkdir(exist_ok=True)
    np.savez(folder / "inputs.npz", **inputs)  # pyright: ignore[reportArgumentType]
    calls = []
    for name, graph in graphs.items():
        (folder / f"{name}.tflite").write_bytes(graph)
        paths = [folder / each for each in (f"{name}.tflite", "inputs.npz", f"{name}.npz")]
        calls.append(json.dumps([str(paths[0]), "recommend", str(paths[1]), str(paths[2])]))
    done = subprocess.run(
        [python, "-P", "-s", run_signatures.__file__],
        input="\n".join(calls) + "\n",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    found = {name: read_arrays(folder / f"{name}.npz") for name in graphs}
    return {name: RankedItems(each["ids"], each["scores"]) for name, each in found.items()}


@pytest.fixture(scope="module")
def wide() -> dict[str, WideGraphs]:
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    return {encoder: export_wide(encoder, with_features=True) for encoder in ENCODERS}


def agrees(found: RankedItems, here: RankedItems) -> bool:
    """Return whether two runtimes return the same items, with scores equal but for rounding."""
    close = np.abs(found.scores - here.scores).max() < TOLERANCE
    return bool(close and (found.ids == here.ids).all(axis=1).mean() > 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(
    "requirement",
    ["ai-edge-litert==1.0.0", "ai-edge-litert==1.4.0", "tflite-runtime==2.14.0", NAN_VERSION],
)
def test_a_runtime_returns_the_lists_of_the_files_that_name_it(python, wide, requirement, tmp_path):
    inputs = wide["bow"].reference.trials.inputs
    packages = install(python, requirement, tmp_path)
    graphs = {
        (encoder, recipe): graph
        for encoder, exported in wide.items()
        for recipe, graph in exported.graphs.items()
    }
    named = {"-".join(key): graph for key, graph in graphs.items()}
    found = recommend_in(python, packages, named, inputs)
    package, version = requirement.split("==")
    wrong = set()
    for (encoder, recipe), graph in graphs.items():
        name = f"{encoder}-{recipe}"
        needed = min_runtime(recipe, read_facts(graph).operators)
        is_named = package in needed and is_at_least(version, needed[package])
        same = agrees(found[name], DeviceModel(graph).recommend_all(inputs))
        assert same or not is_named, f"{name} in {requirement}"
        wrong |= set() if same else {name}
    if package == "tflite-runtime":
        assert wrong and all(name.endswith("int8") for name in wrong)
    if requirement == NAN_VERSION:
        assert wrong == {"cnn-float16"}
        assert np.isnan(found["cnn-float16"].scores).any()


def is_at_least(version: str, least: str) -> bool:
    number, least_number = ([int(part) for part in each.split(".")] for each in (version, least))
    return number >= least_number
