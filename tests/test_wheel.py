"""The wheel: what an application installs, in an environment that holds nothing else."""

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from jaxrec.runtime import Recommender
from tests.exports import ROOT

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


def pip(python: str | Path, *words: str | Path) -> str:
    """Run pip; a machine without a network skips the test."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if re.search(r"NewConnectionError|name resolution|Network is unreachable", done.stderr):
        pytest.skip("needs the package index")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build from a copy: a build leaves things behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("jaxrec", "convert", "experiments", "demo"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules"))
    pip(sys.executable, "wheel", "--no-deps", "-w", target, source)
    (path,) = target.glob("*.whl")
    return path


def test_it_brings_jaxrec_alone_with_its_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        required = re.findall(r"^Requires-Dist: (.*)$", archive.read(metadata).decode(), re.M)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"jaxrec"}
    assert "jaxrec/py.typed" in names
    base = {re.split(r"[<>=;]", each)[0] for each in required if "extra ==" not in each}
    assert base == {"ai-edge-litert", "numpy"}


def test_it_recommends_in_a_bare_environment(wheel, models, tmp_path):
    venv.create(tmp_path / "bare", with_pip=True)
    python = tmp_path / "bare" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip(python, "install", "-c", ROOT / "constraints.txt", wheel)
    here = Recommender.load(models["rnn"])
    items = list(here.items[:12])
    histories = [[], items[:1], items, ["unknown", *items[3:6]]]
    # From a folder that is no checkout, and without what a test run has in its environment.
    done = subprocess.run(
        [python, "-I", "-c", RECOMMEND, models["rnn"], json.dumps(histories)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lists, loaded = done.stdout.splitlines()
    assert loaded == "['jaxrec']"
    wanted = [[asdict(each) for each in here.recommend(items, k=7)] for items in histories]
    for found, expected in zip(json.loads(lists), wanted, strict=True):
        assert [each["item"] for each in found] == [each["item"] for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert one == {**other, "score": pytest.approx(other["score"], abs=1e-6)}
