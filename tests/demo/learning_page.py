"""The page with a model that learns adapters, and what its user does there."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jaxrec.runtime import Recommender
from tests.browser import checked_page, open_page, site
from tests.exports import convert

MIN_ITEMS = 7


def export_learning_model(runs, folder: Path, *flags: str) -> Path:
    flags = (
        "--adapt",
        "--activities=30",
        f"--held-out={MIN_ITEMS - 2}",
        "--l2-penalty=0.5",
        *flags,
    )
    process = convert(f"--run-dir={runs['bow']}", f"--export-dir={folder}", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder / "model.tflite"


@pytest.fixture(scope="module")
def server(learning_model, tmp_path_factory):
    with site(tmp_path_factory.mktemp("page") / "site", learning_model) as server:
        yield server


@pytest.fixture(scope="module")
def recommender(learning_model) -> Recommender:
    return Recommender.load(learning_model)


@pytest.fixture
def page(browser, server):
    requests = []
    with checked_page(browser, accept_downloads=True) as page:
        page.on("request", lambda request: requests.append(request))
        open_page(page, server.url)
        yield page
    # No data leaves the browser: all requests are for the files of the page.
    assert all(request.url.startswith(server.url) for request in requests)
    assert all(request.method == "GET" and "?" not in request.url for request in requests)


def open_new_page(browser, server) -> Page:
    """Open the page in a new browser context, without stored data."""
    page = browser.new_context(service_workers="block").new_page()
    open_page(page, server.url)
    return page


def set_history(page: Page, recommender: Recommender, positions: list[int]) -> None:
    """Fill the history by a storage event, as another tab does: taps take a second each."""
    page.evaluate(
        """(entries) => {
          const key = "jaxrec history synthetic";
          localStorage.setItem(key, JSON.stringify(entries));
          dispatchEvent(new StorageEvent("storage", { key }));
        }""",
        [{"item": recommender.items[position], "without": False} for position in positions],
    )
    expect(page.locator("#history-list li")).to_have_count(len(positions))


def hold_model_requests(page: Page) -> list:
    """Delay the requests for models; return the list of held routes, to be continued."""
    held = []
    page.route("**/models/*", lambda route: held.append(route))
    return held


def items_at(recommender: Recommender, positions: list[int]) -> list:
    """Return the items at some positions of the catalogue."""
    return [recommender.items[position] for position in positions]


def stored_adapters(page: Page) -> dict:
    key = "Object.keys(localStorage).find((key) => key.startsWith('jaxrec learned'))"
    return json.loads(page.evaluate(f"localStorage.getItem({key}) ?? '{{}}'")).get("adapters", {})


def positions_with_kept_adapter(recommender: Recommender) -> list[int]:
    """Find catalogue positions whose items give an adapter that is kept."""
    for start in range(20):
        positions = list(range(start, start + 24, 2))
        if recommender.adapt(items_at(recommender, positions)).is_kept:
            return positions
    raise AssertionError("no history has an adapter that is kept")


def learn(page: Page) -> None:
    page.locator("#learn").click()
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")


def learn_with_blocked_worker(page: Page) -> Callable[[], None]:
    """Start to learn with a blocked worker; return a function that lets it finish and waits."""
    held = hold_model_requests(page)
    page.locator("#learn").click()
    while not held:
        page.wait_for_timeout(20)

    def finish() -> None:
        workers = page.workers
        for route in held:
            route.continue_()
        while any(worker in page.workers for worker in workers):
            page.wait_for_timeout(20)
        page.unroute_all()

    return finish
