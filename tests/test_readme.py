"""The README's test command is the one that runs, and the map of the house is true."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_continuous_integration_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"^pip install .*pytest$", README, flags=re.MULTILINE)
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    # First of all: what is installed before it may hide what it lacks.
    assert next(line for line in lines if "pip install" in line) == command


def test_the_best_figure_is_of_a_model_that_did_not_learn_the_validation_targets():
    recipes = (ROOT / "experiments" / "recipes" / "README.md").read_text()
    table = recipes.split("## MovieLens 1M")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\[.+?) \| \d+ \| (0\.\d{4}) ", table, flags=re.MULTILINE)
    comparable = [recall for name, recall in rows if "learned the validation" not in name]
    assert 1 < len(comparable) < len(rows)
    assert re.findall(r"up to (0\.\d{4})", README) == [max(comparable)]


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README


def paths_of_the_house() -> set[Path]:
    """Read the map: indented names lie in the folder above, names behind a folder in it."""
    named, folders = set(), [ROOT]
    for line in ARCHITECTURE.split("## The house")[1].split("```")[1].strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first, *others = re.findall(r"\b[a-z_]+(?:\.py\b|/)", line)
        folders[depth + 1 :] = [folders[depth] / first]
        inside = folders[depth + 1] if first.endswith("/") else folders[depth]
        named |= {folders[depth] / first, *(inside / name for name in others)}
    return named


def test_the_house_is_what_the_map_says():
    named = paths_of_the_house()
    assert [path for path in named if not path.exists()] == []
    for room in ("jaxrec", "experiments", "convert", "demo", "examples"):
        files = set((ROOT / room).rglob("*.py"))
        left_out = {path for path in files - named if path.name != "__init__.py"}
        assert not {path for path in left_out if "node_modules" not in path.parts}


def test_constraints_hold_versions_and_no_address():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+-]+", line), line
