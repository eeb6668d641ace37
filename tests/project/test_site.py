"""The documentation site builds without warnings, and loads nothing from other hosts."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import jaxrec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the extra docs"),
]


# With warnings as errors.
BUILD_ARGUMENTS = ("-W", "--keep-going", "-b", "html", "docs")


@pytest.fixture(scope="module")
def site(pytestconfig, tmp_path_factory) -> Path:
    """Build the site."""
    folder = tmp_path_factory.mktemp("site")
    process = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", *BUILD_ARGUMENTS, str(folder)],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return folder


class Page(HTMLParser):
    """The anchors of a page, the files that it loads, and the addresses that it links to."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.anchors |= {value for name, value in attrs if name == "id" and value}
        found = [value for name, value in attrs if name in ("src", "href") and value]
        (self.linked if tag == "a" else self.loaded).extend(found)


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_pages_load_nothing_from_another_host(pages):
    addresses = {address for page in pages.values() for address in page.loaded}
    assert len(addresses) > 10
    assert [each for each in addresses if urlsplit(each).netloc] == []


def test_styles_load_nothing_from_another_host(site):
    styles = [path.read_text() for path in sorted(site.rglob("*.css"))]
    for page in site.rglob("*.html"):
        styles += re.findall(r"<style.*?</style>", page.read_text(), re.DOTALL)
    assert styles
    for style in styles:
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style)


def test_every_link_inside_the_site_has_a_target(pages):
    for path, page in pages.items():
        for address in {*page.loaded, *page.linked}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), (path, address)
            # The links from source code back to the reference may miss the name's anchor.
            if parts.fragment and target in pages and "_modules" not in path.parts:
                assert unquote(parts.fragment) in pages[target].anchors, (path, address)


def test_no_metric_is_taken_for_an_email_address(pages):
    """Check that docstrings have recall@10 in backticks."""
    for path, page in pages.items():
        assert not any(each.startswith("mailto:") for each in page.linked), path


def test_the_first_page_leads_to_the_documentation(site, pages):
    assert pages[site / "index.html"].linked == ["docs/index.html"]
    assert 'content="0; url=docs/index.html"' in (site / "index.html").read_text()


def test_the_search_index_has_the_terms_of_the_pages(site):
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")
    assert '"recal' in index and "read_log" in index
    assert "searchindex.js" in (site / "search.html").read_text()


@pytest.mark.parametrize("name", jaxrec.__all__)
def test_the_reference_has_every_public_name(site, pages, name):
    reference = (site / "docs" / "api").glob("*.html")
    assert any(f"jaxrec.{name}" in pages[path].anchors for path in reference)


def test_the_notebook_is_a_page_with_its_code(site, pages):
    path = site / "docs" / "quickstart.html"
    assert "synthetic_world" in path.read_text()
    assert any(each.endswith(".ipynb") for each in pages[path].linked)
