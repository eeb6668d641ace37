"""The quickstart notebook runs from the first cell to the last.

The cells are plain Python and run in order in one process, as in Jupyter, without the forty
packages of a kernel.
"""

import ast
import json
import os
import subprocess
import sys

import pytest

from tests import ROOT

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def code_cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4
    return ["".join(each["source"]) for each in notebook["cells"] if each["cell_type"] == "code"]


def test_cells_are_plain_python():
    cells = code_cells()
    assert len(cells) >= 8
    for cell in cells:
        ast.parse(cell)  # no %magic and no !command


def test_cells_have_no_saved_output():
    for each in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not each.get("outputs") and not each.get("execution_count")


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(code_cells())],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0] == "user,item,timestamp"
    assert any(line.startswith("popularity") and "recall@10" in line for line in lines)
    assert lines[-1] == "(150, 32) True"
