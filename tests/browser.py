"""A local server for the demo page, and Debian's Chromium to open it."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.exports import choose_exports
from demo.folder import write_page
from demo.litert_js import runtime_files
from demo.server import HOST, make_server

_ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# Long enough on a machine that is busy with other tests; only a failing test waits this long.
expect.set_options(timeout=30_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield this machine's Chromium, or skip the tests if it is not installed."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


class Site:
    """A folder that a server publishes on a free local port until `stop` is called."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._server = make_server(folder, 0)
        self.requests: list[str] = []
        self._server.RequestHandlerClass = self._recording(self._server.RequestHandlerClass)
        self.url = f"http://{HOST}:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _recording(self, handler: Any) -> Any:
        """Return a handler that also records the path of each request."""
        requests = self.requests

        class Recording(handler.func):
            def send_head(self) -> Any:
                requests.append(self.path)
                return super().send_head()

        return partial(Recording, *handler.args, **handler.keywords)

    def publish(self, *paths: Path) -> None:
        """Write the page with these models to the folder."""
        write_page(self.folder, choose_exports(paths), runtime_files())

    def stop(self) -> None:
        """Shut the server down; its port refuses connections from then on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def site(folder: Path, *paths: Path) -> Iterator[Site]:
    """Serve a page with these models while the context is open."""
    server = Site(folder)
    try:
        server.publish(*paths)
        yield server
    finally:
        server.stop()


def open_page(page: Page, url: str) -> None:
    """Open the page and wait for its first recommendations."""
    page.goto(url)
    expect(page.locator("#lists li")).not_to_have_count(0)


@contextmanager
def checked_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """Yield a page in a new browser context; fail if its scripts raised errors.

    The service worker is blocked, which saves time: only test_page_offline.py tests it.

    Args:
        options: of the context.
    """
    context = browser.new_context(service_workers="block", **options)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    yield page
    context.close()
    assert not errors


def recommended_items(page: Page, column: int = 0) -> list[str]:
    """Return the raw items of a list of recommendations, best first."""
    rows = page.locator(".list").nth(column).locator("li")
    return rows.evaluate_all("rows => rows.map(row => row.dataset.key)")


def open_rows(page: Page) -> None:
    """Open the visible rows of the history, to use the controls of their items."""
    closed = page.locator("#history-list [name=details][aria-expanded=false]:visible")
    for _ in range(closed.count()):
        closed.first.click()


def open_figures(page: Page) -> None:
    """Open the figures of the models that are shown, unless they are open."""
    if page.locator("#about:not([open])").count():
        page.locator("#about summary").click()


def tap_cards(page: Page, *positions: int) -> None:
    """Tap the cards of the catalogue at some positions."""
    for position in positions:
        card = page.locator("#cards .card").nth(position)
        was_pressed = card.get_attribute("aria-pressed") == "true"
        card.click()
        expect(card).to_have_attribute("aria-pressed", "false" if was_pressed else "true")
