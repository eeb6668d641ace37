"""README and docs: links have targets, and every page, picture and study is linked."""

import ast
import importlib
import itertools
import re
from pathlib import Path

from tests import ROOT
from tests.project.pages import (
    INNER_PAGES,
    PAGES,
    SCRIPTS,
    SITE_PAGES,
    STUDIES,
    blocks_of,
    commands_of_page,
    each_page,
    tokens,
)

# Larger pictures are slow to load.
MAX_PICTURE_BYTES = 100_000


@each_page
def test_every_link_has_an_existing_target(page):
    for each in tokens(page):
        target = str(each.attrGet("href") or each.attrGet("src") or "")
        if not target or ":" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for the headings of a page."""
    found, all_tokens = set(), tokens(page)
    for heading, text in itertools.pairwise(all_tokens):
        if heading.type == "heading_open":
            name = re.sub(r"[^\w\- ]", "", text.content.lower())
            found.add(name.replace(" ", "-"))
    return found


def test_the_readme_links_to_every_page():
    readme = ROOT / "README.md"
    targets = {each.attrGet("href") for each in tokens(readme)}
    documents = set(PAGES) - {readme} | set((ROOT / "docs").rglob("*.ipynb"))
    documents -= SITE_PAGES
    assert documents and {path.relative_to(ROOT).as_posix() for path in documents} <= targets


def test_every_picture_of_the_docs_is_shown_and_small():
    pictures = set((ROOT / "docs").rglob("*.png"))
    shown = {
        (page.parent / str(each.attrGet("src"))).resolve()
        for page in PAGES
        for each in tokens(page)
        if each.attrGet("src")
    }
    assert pictures and pictures <= shown
    assert all(path.stat().st_size < MAX_PICTURE_BYTES for path in pictures)


def test_the_docs_link_to_every_example_and_study():
    targets = {
        (page.parent / str(each.attrGet("href"))).resolve()
        for page in PAGES
        for each in tokens(page)
        if each.attrGet("href")
    }
    assert set(INNER_PAGES) <= targets


def test_the_page_of_a_study_shows_its_command_and_its_figures():
    studies = [path for path in STUDIES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(studies) >= 5
    for study in studies:
        page = study / "README.md"
        shown = {each.attrGet("src") for each in tokens(page) if each.type == "image"}
        assert shown == {picture.name for picture in study.glob("*.png")}, page
        scripts = [path for path in SCRIPTS if (ROOT / path).parent == study]
        typed = {word for words in commands_of_page(page) for word in words}
        assert scripts and typed & set(scripts), page
        for picture in shown:  # a script writes the figure under this name
            assert any(f'"{picture}"' in (ROOT / path).read_text() for path in scripts), picture


@each_page
def test_names_imported_on_a_page_exist(page):
    for block in blocks_of(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), node.module
