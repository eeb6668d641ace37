"""The fixtures of the tests of clients."""

import pytest

from tests.clients.kotlin_programs import KotlinPrograms


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> KotlinPrograms:
    return KotlinPrograms(tmp_path_factory.mktemp("kotlin"))


@pytest.fixture
def page(browser, url):
    """Open the page at the `url` of the module."""
    page = browser.new_page()
    page.goto(url)
    yield page
    page.close()
