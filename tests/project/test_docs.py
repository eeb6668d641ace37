"""README and docs: links have targets, pages are short, pictures are shown and small."""

import itertools
import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.project.pages import (
    INNER_PAGES,
    PAGES,
    SCRIPTS,
    SITE_PAGES,
    STUDIES,
    commands_of_page,
    each_page,
    tokens,
)

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
        for name in ("architecture", "migrating", "protocol", "scale", "training-step")
    },
    **{
        f"docs/deploy/{name}.md": 900
        for name in ("android", "ios", "on-device-learning", "python", "server", "web")
    },
}
GENERATED = "docs/layout.md"
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
            kept = re.sub(r"[^\w\- ]", "", text.content.lower())
            found.add(kept.replace(" ", "-"))
    return found


def test_the_readme_links_to_every_page():
    readme = ROOT / "README.md"
    targets = {each.attrGet("href") for each in tokens(readme)}
    documents = set(PAGES) - {readme} | set((ROOT / "docs").rglob("*.ipynb"))
    documents -= SITE_PAGES
    assert documents and {path.relative_to(ROOT).as_posix() for path in documents} <= targets


@pytest.mark.parametrize("page", WORD_LIMITS)
def test_a_page_is_at_most_as_long_as_its_limit(page):
    assert len((ROOT / page).read_text().split()) <= WORD_LIMITS[page]


def test_every_page_of_the_docs_has_a_limit():
    paths = {*(ROOT / "docs").rglob("*.md")} - SITE_PAGES
    pages = {path.relative_to(ROOT).as_posix() for path in paths}
    assert pages - {GENERATED} == {page for page in WORD_LIMITS if page.startswith("docs/")}


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
