"""README, recipes, constraints and the map in docs/architecture.md agree with the repository."""

import re
from pathlib import Path

from tests import ROOT

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


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


def paths_of_the_map() -> set[Path]:
    """Parse the map: indentation means a parent folder, names after a folder are its files."""
    named, folders = set(), [ROOT]
    for line in ARCHITECTURE.split("## The house")[1].split("```")[1].strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first, *others = re.findall(r"\b[a-z_]+(?:\.py\b|/)", line)
        folders[depth + 1 :] = [folders[depth] / first]
        inside = folders[depth + 1] if first.endswith("/") else folders[depth]
        named |= {folders[depth] / first, *(inside / name for name in others)}
    return named


def test_the_house_is_what_the_map_says():
    named = paths_of_the_map()
    assert [path for path in named if not path.exists()] == []
    for room in ("jaxrec", "experiments", "convert", "demo", "examples"):
        files = set((ROOT / room).rglob("*.py"))
        missing = {path for path in files - named if path.name != "__init__.py"}
        assert not {path for path in missing if "node_modules" not in path.parts}


def test_constraints_are_pinned_versions_without_urls():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+-]+", line), line
