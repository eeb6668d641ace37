"""README, recipes and docs/layout.md agree with the repository."""

import re
import runpy
from pathlib import Path

from tests import ROOT

README = (ROOT / "README.md").read_text()
LAYOUT = (ROOT / "docs" / "layout.md").read_text()


def test_continuous_integration_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"^pip install .*pytest$", README, flags=re.MULTILINE)
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    # It is the first installation: an earlier one could hide a missing dependency.
    assert next(line for line in lines if "pip install" in line) == command


def test_the_best_figure_excludes_models_trained_on_validation_targets():
    recipes = (ROOT / "experiments" / "recipes" / "README.md").read_text()
    table = recipes.split("## MovieLens 1M")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\[.+?) \| \d+ \| (0\.\d{4}) ", table, flags=re.MULTILINE)
    comparable = [recall for name, recall in rows if "learned the validation" not in name]
    assert 1 < len(comparable) < len(rows)
    assert re.findall(r"up to (0\.\d{4})", README) == [max(comparable)]


def test_the_readme_has_no_placeholders():
    assert "@@" not in README


def paths_of_the_layout() -> set[Path]:
    """Return the files that the page lists below the headings of their folders."""
    sections = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", LAYOUT, re.MULTILINE | re.DOTALL)
    return {
        ROOT / folder / name
        for folder, text in sections
        for name in re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)
    }


def test_the_layout_is_current():
    written = runpy.run_path(str(ROOT / "docs" / "write_layout.py"))["layout"](ROOT)
    assert written == LAYOUT, "python docs/write_layout.py"


def test_the_layout_lists_every_module_with_its_content():
    for room in ("jaxrec", "experiments", "convert", "demo", "clients", "examples"):
        files = {path for path in (ROOT / room).rglob("*.py") if path.name != "__init__.py"}
        files = {path for path in files if "node_modules" not in path.parts}
        assert files and files <= paths_of_the_layout()
    assert all(path.is_file() for path in paths_of_the_layout())
    assert not re.search(r"\|\s*\|$", LAYOUT, re.MULTILINE)
