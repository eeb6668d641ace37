"""The pages of the project, their parts, and the commands on them."""

import itertools
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Template

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [ROOT / "pretrained" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages of the documentation site alone: its list of pages, and the API reference.
SITE_PAGES = {ROOT / "docs" / "index.md", *(ROOT / "docs" / "api").glob("*.md")}
STUDIES = ROOT / "experiments" / "studies"
PAGES += [STUDIES / "README.md"]
FLOWER = ROOT / "examples" / "flower" / "README.md"
# Linked from pages of the docs.
RECIPES = ROOT / "experiments" / "recipes" / "README.md"
WEB_PACKAGE = ROOT / "clients" / "web" / "README.md"
INNER_PAGES = [FLOWER, RECIPES, WEB_PACKAGE, *sorted(STUDIES.glob("*/README.md"))]
SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for room in ("experiments", "experiments/studies/*", "demo", "examples/flower")
    for path in sorted(ROOT.glob(f"{room}/*.py"))
    if "\nmain = command(" in path.read_text()
]

each_page = pytest.mark.parametrize(
    "page", PAGES + INNER_PAGES, ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def tokens(page: Path) -> list[Token]:
    """Parse a page into block tokens, each followed by its inline tokens."""
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    return [each for block in blocks for each in (block, *(block.children or ()))]


def blocks_of(page: Path, language: str) -> list[str]:
    return [each.content for each in tokens(page) if each.type == "fence" and each.info == language]


def code_words(page: Path) -> list[str]:
    return [each.content for each in tokens(page) if each.type == "code_inline"]


def commands_of(block: str) -> Iterator[list[str]]:
    """Yield the words of each command in a shell block, without comments, with loops unrolled."""
    loops: dict[str, list[str]] = {}
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        for is_separator, group in itertools.groupby(lexer, lambda word: set(word) <= {*";&"}):
            words = [word for word in group if word not in ("do", "done")]
            if is_separator or not words:
                continue
            if words[0] == "for":
                loops[words[1]] = words[3:]
                continue
            names = [name for name in loops if f"${name}" in " ".join(words)]
            for values in itertools.product(*(loops[name] for name in names)):
                variables = dict(zip(names, values, strict=True))
                yield [Template(word).safe_substitute(variables) for word in words]


def commands_of_page(page: Path) -> list[list[str]]:
    """Return every command of a page, from shell blocks and from inline code."""
    inline = [text for text in code_words(page) if text.startswith(("python ", "jaxrec "))]
    return [words for text in (*blocks_of(page, "sh"), *inline) for words in commands_of(text)]
