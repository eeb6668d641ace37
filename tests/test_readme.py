"""The README's commands are the ones that run."""

import ast
import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_continuous_integration_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"^pip install .*pytest$", README, flags=re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README


def paths_of_the_house() -> set[Path]:
    """Read the map: indented names lie in the folder above, names behind a folder in it."""
    named, folders = set(), [ROOT]
    for line in README.split("## The house")[1].split("```")[1].strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first, *others = re.findall(r"\b[a-z_]+(?:\.py\b|/)", line)
        folders[depth + 1 :] = [folders[depth] / first]
        inside = folders[depth + 1] if first.endswith("/") else folders[depth]
        named |= {folders[depth] / first, *(inside / name for name in others)}
    return named


def test_the_house_is_what_the_map_says():
    named = paths_of_the_house()
    assert [path for path in named if not path.exists()] == []
    for room in ("jaxrec", "experiments", "convert", "demo"):
        files = set((ROOT / room).rglob("*.py"))
        left_out = {path for path in files - named if path.name != "__init__.py"}
        assert not {path for path in left_out if "node_modules" not in path.parts}


def test_constraints_hold_versions_and_no_address():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+-]+", line), line


def test_what_the_readme_imports_is_there():
    """Its Python is short; what can go stale in it is where things come from."""
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), node.module
