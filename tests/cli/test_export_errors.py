"""The command `export`: one-line errors that change no file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jaxrec.cli import export, verify
from jaxrec.config.toml_file import FORMAT
from jaxrec.conversion import product
from jaxrec.runtime.bundle import read_bundle
from tests import ROOT
from tests.exports import call, run_script


def test_verify_fails_for_another_run(runs, models, tmp_path):
    """Compare a file with a run on the same data but with other parameters."""
    flags = [f"--model={models['bow']}", f"--run-dir={runs['cnn']}"]
    process = call(verify.main, *flags, cwd=tmp_path)
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert "differs from its model in its top ten" in line
    assert "worst after history" in line


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def remove_checkpoint(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def damage_checkpoint(run: Path) -> None:
    for path in (run / "checkpoints").rglob("*"):
        if path.is_file() and "params" in path.parts and path.stat().st_size > 500:
            path.write_bytes(b"x" * path.stat().st_size)


def swap_items(run: Path) -> None:
    vocabulary = json.loads((run / "vocabulary.json").read_text())
    first, second, *others = vocabulary["values"]
    vocabulary["values"] = [second, first, *others]
    (run / "vocabulary.json").write_text(json.dumps(vocabulary))


def reverse_catalogue(run: Path) -> None:
    columns = json.loads((run / "catalogue.json").read_text())
    reordered = {name: values[::-1] for name, values in columns.items()}
    (run / "catalogue.json").write_text(json.dumps(reordered))


def set_older_format(run: Path) -> None:
    path = run / "config.toml"
    path.write_text(path.read_text().replace(f"format = {FORMAT}", "format = 1"))


MISTAKES = {
    "unfinished": (lambda run: (run / "summary.json").unlink(), [], "is not finished"),
    "another version": (set_older_format, [], f"has run format 1, this version reads {FORMAT}"),
    "no checkpoint": (remove_checkpoint, [], "checkpoints is missing"),
    "damaged checkpoint": (damage_checkpoint, [], "is damaged"),
    "other vocabulary": (swap_items, [], "does not match its own digest"),
    "other catalogue": (reverse_catalogue, [], "has other items"),
    "cut histories": (lambda run: truncate(run / "heldout.npz"), [], "heldout.npz is damaged"),
    "cut summary": (lambda run: truncate(run / "summary.json"), [], "summary.json is damaged"),
    "empty summary": (
        lambda run: (run / "summary.json").write_text("{}"),
        [],
        "summary.json is damaged ('protocol')",
    ),
    "large k": (lambda run: None, ["--top-k=100000"], "--top-k=100000 is out of range"),
    "unknown recipe": (lambda run: None, ["--recipe=int3"], "int3"),
    "no folder": (lambda run: None, ["--export-dir=/proc/export"], "/proc/export"),
    "a file for a folder": (lambda run: None, ["--export-dir=note.txt"], "note.txt"),
    "no run": (lambda run: None, ["--run-dir=nowhere"], "nowhere is not a run directory"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_in_one_line_and_changes_no_file(copied_run, mistake):
    damage, flags, message = MISTAKES[mistake]
    (copied_run.parent / "note.txt").write_text("mine")
    damage(copied_run)
    before = files_of(copied_run.parent)
    process = call(export.main, f"--run-dir={copied_run}", *flags, cwd=copied_run.parent)
    assert process.returncode == 2, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert files_of(copied_run.parent) == before


def test_without_a_run_the_error_names_the_remedy(tmp_path):
    process = run_script("convert/to_tflite.py", cwd=tmp_path)
    assert process.returncode == 2
    assert "no finished run under runs/; train one with" in process.stderr
    assert not any(tmp_path.iterdir())


def test_a_file_that_fails_verification_is_not_written(copied_run, models, monkeypatch):
    """Use a quantizer that returns the graph of another model: exit code 1, old export kept."""
    before = files_of(copied_run)
    wrong = read_bundle(models["cnn"]).graph
    monkeypatch.setattr(product, "quantize", lambda graph, recipe: wrong)
    process = call(export.main, f"--run-dir={copied_run}", cwd=copied_run.parent)
    assert process.returncode == 1, process.stderr
    *progress, line = process.stderr.splitlines()
    assert all(" of 6 steps, " in each for each in progress)
    assert "the float32 file" in line
    assert "worst after history" in line
    assert files_of(copied_run) == before


def test_missing_packages_are_reported_with_the_install_command(tmp_path):
    """Simulate the first command of the README, which installs only the packages of training."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('tensorflow', 'litert_quantizer'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    script = [sys.executable, str(ROOT / "convert" / "to_tflite.py")]
    process = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert "pip install -c constraints.txt -e '.[convert]'" in line
