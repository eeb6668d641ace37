"""The language of the code, and the lengths of files and pages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.project.pages import SITE_PAGES

LIBRARY = ("jaxrec", "experiments", "convert", "demo", "clients")
# A summary names the result or the action: "Return ...", "Compute ...", "The model: ...".
VAGUE_FIRST_WORDS = re.compile(
    r"(Give|Say|Tell|What|Let|Put|Whether|How|Take|Make|Know|Hold)s?\b", re.IGNORECASE
)
# Names of earlier versions; the terms of the field are bucket_steps, column_types, log_summary,
# LogAnomalies, context_features, encode_positions, encode_last, valid, history_length, id_dropout,
# mask_features, Head, compact, gather, scatter, pad, padded_rows, BatchShard, request, Request,
# TimedModel, placeholder_tables, knows_target_time, initialize, shutdown, raise_on_any_process,
# evaluate_and_save and load_dataset.
FORMER_NAMES = {
    *("workshop", "form", "intake", "Oddities", "circumstances", "prefixes", "whole", "there"),
    *(
        "span",
        "own_dropout",
        "hide",
        "Label",
        "few",
        "take",
        "put",
        "lengthen",
        "cut_rows",
        "Share",
    ),
    *("asked", "Asked", "contend", "stand_ins", "told", "told_time", "leave", "together"),
    *("conclude", "look"),
}
MAX_LINES = 300
# The length of a page in words; layout.md is generated.
WORD_LIMITS = {
    "README.md": 700,
    "docs/your-data.md": 1800,
    "docs/models.md": 1200,
    "docs/results.md": 1500,
    "docs/file-format.md": 900,
    "docs/gallery.md": 500,
    **{
        f"docs/{name}.md": 1000
        for name in (
            *("architecture", "backtest", "churn", "migrating", "protocol", "retraining", "scale"),
            "training-step",
        )
    },
    **{
        f"docs/deploy/{name}.md": 900
        for name in (
            *(
                "android",
                "ios",
                "on-device-learning",
                "processors",
                "python",
                "server",
                "updating",
                "web",
            ),
        )
    },
}
GENERATED = "docs/layout.md"


def source_files(*rooms: str, suffixes: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the files of some folders, without installed packages."""
    paths = [path for room in rooms for path in sorted((ROOT / room).rglob("*"))]
    return [path for path in paths if path.suffix in suffixes and "node_modules" not in path.parts]


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def defined_names(path: Path) -> Iterator[str]:
    """Yield the names that a module defines, and its own; names of other libraries are not."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


@pytest.mark.parametrize("room", [*LIBRARY, "examples", "tests"])
def test_docstrings_begin_with_what_is_returned_or_done(room):
    vague = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in source_files(room)
        for text in docstrings(path)
        if VAGUE_FIRST_WORDS.match(text)
    ]
    assert vague == []


@pytest.mark.parametrize("room", LIBRARY)
def test_no_name_of_an_earlier_version_is_defined(room):
    former = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in source_files(room)
        for name in defined_names(path)
        if name.strip("_") in FORMER_NAMES
    ]
    assert former == []


def test_former_names_are_found_wherever_they_are_defined(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import numpy as few\n"
        "class Asked:\n    form: int\n"
        "def take(put, *, hide=1):\n"
        "    self.whole = [there for there in put]\n"
        "np.take(x, span=1).asked\n"
    )
    names = {"module", "few", "Asked", "form", "take", "put", "hide", "whole", "there"}
    assert set(defined_names(path)) == names


def test_files_are_short():
    suffixes = (".py", ".js", ".css", ".html", ".kt", ".swift")
    files = source_files(*LIBRARY, "docs", "examples", "tests", suffixes=suffixes)
    assert len(files) > 300
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in files}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize("page", WORD_LIMITS)
def test_a_page_is_at_most_as_long_as_its_limit(page):
    assert len((ROOT / page).read_text().split()) <= WORD_LIMITS[page]


def test_every_page_of_the_docs_has_a_limit():
    paths = {*(ROOT / "docs").rglob("*.md")} - SITE_PAGES
    pages = {path.relative_to(ROOT).as_posix() for path in paths}
    assert pages - {GENERATED} == {page for page in WORD_LIMITS if page.startswith("docs/")}
