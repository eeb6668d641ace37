"""The wheel, installed in new environments without a checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from jaxrec.runtime import Recommender
from tests import ROOT
from tests.exports import small_log

pytestmark = pytest.mark.slow

RECOMMEND = """
import json, sys
from dataclasses import asdict
from jaxrec.runtime import Recommender

recommender = Recommender.load(sys.argv[1])
lists = [recommender.recommend(items, k=7) for items in json.loads(sys.argv[2])]
print(json.dumps([[asdict(each) for each in found] for found in lists]))
print(sorted({name.partition(".")[0] for name in sys.modules if "jax" in name or "polars" in name}))
"""


def pip(python: str | Path, *arguments: str | Path) -> str:
    """Run pip and return its output; skip the test without a network."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    # A checkout on PYTHONPATH would be taken for an installation.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if re.search(r"NewConnectionError|name resolution|Network is unreachable", done.stderr):
        pytest.skip("needs the package index")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy of the sources, since a build leaves files behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("jaxrec", "convert", "experiments", "demo"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules"))
    pip(sys.executable, "wheel", "--no-deps", "-w", target, source)
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory) -> Path:
    """Install the wheel with its base dependencies, and return the folder of its programs."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip(programs / "python", "install", "-c", ROOT / "constraints.txt", wheel)
    return programs


@pytest.fixture(scope="module")
def complete(wheel, tmp_path_factory) -> Path:
    """Install the wheel with all dependencies of this environment, but without the checkout.

    A .pth file adds the packages. Python does not read .pth files among them, such as that of an
    editable install.
    """
    folder = tmp_path_factory.mktemp("complete")
    venv.create(folder, with_pip=False)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    (packages,) = folder.glob("[Ll]ib/**/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip(sys.executable, "--python", programs / "python", "install", "--no-deps", wheel)
    return programs


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the environment variables of the tests."""
    variables = {**os.environ, "COLUMNS": "100", "XLA_FLAGS": ""}
    variables.pop("PYTHONPATH", None)
    return subprocess.run(
        list(map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=variables,
    )


def test_the_wheel_has_only_jaxrec_and_its_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        required = re.findall(r"^Requires-Dist: (.*)$", archive.read(metadata).decode(), re.M)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"jaxrec"}
    assert "jaxrec/py.typed" in names
    base = {re.split(r"[<>=;]", each)[0] for each in required if "extra ==" not in each}
    assert base == {"ai-edge-litert", "numpy"}


def test_the_runtime_recommends_in_a_bare_environment(bare, models, tmp_path):
    here = Recommender.load(models["rnn"])
    items = list(here.items[:12])
    histories = [[], items[:1], items, ["unknown", *items[3:6]]]
    # Run outside of a checkout; -I ignores environment variables such as PYTHONPATH.
    done = subprocess.run(
        [bare / "python", "-I", "-c", RECOMMEND, models["rnn"], json.dumps(histories)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lists, loaded = done.stdout.splitlines()
    assert loaded == "['jaxrec']"
    lists_here = [[asdict(each) for each in here.recommend(items, k=7)] for items in histories]
    for found, expected in zip(json.loads(lists), lists_here, strict=True):
        assert [each["item"] for each in found] == [each["item"] for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert one == {**other, "score": pytest.approx(other["score"], abs=1e-6)}


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (("jaxrec", "train", "--encoder=rnn"), "tyro", "train"),
        (("jaxrec", "export"), "tyro", "convert"),
        (("jaxrec", "recommend", "--help"), "polars", "train"),
        (("python", ROOT / "experiments" / "run.py", "--encoder=rnn"), "tyro", "train"),
        (("python", ROOT / "convert" / "to_tflite.py"), "tyro", "convert"),
    ],
)
def test_a_command_names_the_extra_that_is_missing(bare, tmp_path, arguments, package, extra):
    program, *arguments = arguments
    done = run(bare / program, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"needs {package}, which is not installed; pip install 'jaxrec[{extra}]'" in line
    assert not any(tmp_path.iterdir())


def test_a_function_names_the_extra_that_is_missing(bare, tmp_path):
    done = run(bare / "python", "-c", "import jaxrec; jaxrec.train('synthetic')", cwd=tmp_path)
    assert "pip install 'jaxrec[train]'" in done.stderr.splitlines()[-1]


def test_importing_jaxrec_loads_no_dependency(bare, tmp_path):
    code = "import sys, jaxrec; print({name.partition('.')[0] for name in sys.modules})"
    done = run(bare / "python", "-I", "-c", code, cwd=tmp_path)
    assert not {"numpy", "jax", "polars", "ai_edge_litert"} & set(eval(done.stdout))


# Small enough to train in seconds.
SMALL = (
    *("--epochs=2", "--embedding-dim=8", "--hidden-units=12", "--history-length=5"),
    *("--min-item-interactions=1", "--batch-size=16"),
)


@pytest.mark.slow
def test_every_command_works_without_a_checkout(complete, tmp_path):
    small_log().write_csv(tmp_path / "log.csv")
    jaxrec = complete / "jaxrec"
    model = "runs/shop/export/model.tflite"
    for arguments in (
        ("prepare", "--dataset=log.csv", "--out=prepared", "--min-item-interactions=1"),
        ("train", "--dataset=log.csv", "--encoder=rnn", "--run-dir=runs/shop", *SMALL),
        ("train", "--dataset=prepared", "--encoder=bow", "--run-dir=runs/bow", *SMALL[:4]),
        ("export", "--run-dir=runs/shop", "--recipe=float32"),
        ("verify", f"--model={model}"),
        ("recommend", f"--model={model}", "--log=log.csv", "--out=lists.csv"),
        ("compare", "runs/shop", "runs/shop"),
        ("sweep", "--dataset=log.csv", "--encoders=bow", "--history-lengths=5", *SMALL[:3]),
        ("benchmark", model, "--rounds=1"),
        ("benchmark-training", "--dataset=log.csv", "--repeats=1", *SMALL[1:]),
    ):
        done = run(jaxrec, *arguments, cwd=tmp_path)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
    assert (tmp_path / "lists.csv").read_text().startswith("user,place,item,score,title\n")
