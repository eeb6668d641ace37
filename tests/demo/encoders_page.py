"""The page with a trained model of each encoder, and the lists that the runtime expects."""

import pytest

from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from tests.browser import checked_page, open_page, site
from tests.exports import ENCODERS


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as server:
        yield server


@pytest.fixture
def page(browser, server):
    """Open the page in a new browser context, and fail on JavaScript errors."""
    with checked_page(browser) as page:
        open_page(page, server.url)
        yield page


@pytest.fixture(scope="module")
def recommender(models) -> Recommender:
    return Recommender.load(models["bow"])


def expected_items(recommender: Recommender, items: list) -> list[str]:
    return [str(each.item) for each in recommender.recommend(items, 10)]


def catalogue(models) -> list[dict]:
    return list(bundle.read_bundle(models["bow"]).catalogue)
