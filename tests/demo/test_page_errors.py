"""Errors that the page reports in words."""

import pytest
from playwright.sync_api import expect

from demo.exports import choose_exports
from demo.folder import model_path
from tests.browser import open_page, site, tap_cards
from tests.bundles import save_in_format_1


@pytest.fixture
def page(browser):
    context = browser.new_context(service_workers="block")
    yield context.new_page()
    context.close()


@pytest.fixture
def server(tmp_path, models):
    with site(tmp_path / "site", models["bow"], models["cnn"]) as server:
        yield server


def model_file(server, path):
    (export,) = choose_exports([path])
    return server.folder / model_path(export)


def expect_problem(page, message: str) -> None:
    expect(page.locator("#problem")).to_contain_text(message)
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#main")).to_be_hidden()


def test_a_damaged_model(page, server, models):
    path = model_file(server, models["bow"])
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    page.goto(server.url)
    expect_problem(page, "bow is damaged")


def test_a_catalogue_of_another_model(page, tmp_path, models):
    save_in_format_1(models["bow"], tmp_path / "swapped.tflite", lambda entries: entries[::-1])
    with site(tmp_path / "site", tmp_path / "swapped.tflite") as server:
        page.goto(server.url)
        expect_problem(page, "The catalogue does not fit the model")


def test_a_missing_model(page, server, models):
    model_file(server, models["bow"]).unlink()
    page.goto(server.url)
    expect_problem(page, "is missing on the server (404)")


def test_a_missing_list_of_models(page, server):
    (server.folder / "models.json").unlink()
    page.goto(server.url)
    expect_problem(page, "models.json is missing on the server")


def test_a_browser_without_webassembly(page, server):
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(server.url)
    expect_problem(page, "This browser does not support WebAssembly")


def test_a_page_without_a_secure_context(page, server):
    page.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined})")
    page.goto(server.url)
    expect_problem(page, "over https or on localhost")


def test_a_browser_without_javascript(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    message = page.locator("noscript p")
    expect(message).to_be_visible()
    expect(message).to_contain_text("This page needs JavaScript")
    expect(page.locator("#loading")).to_be_hidden()
    context.close()


def test_a_damaged_model_leaves_the_others_usable(page, server, models):
    model_file(server, models["cnn"]).write_bytes(b"damaged")
    open_page(page, server.url)
    page.get_by_role("radio", name="Side by side").click()
    columns = page.locator(".list")
    expect(columns.nth(1).locator(".problem")).to_contain_text("cnn is damaged")
    expect(columns.nth(0).locator("li")).to_have_count(10)
    tap_cards(page, 3)
    expect(columns.nth(0).locator("li")).to_have_count(10)


@pytest.mark.slow
def test_a_browser_without_storage_is_reported(page, server):
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    )
    open_page(page, server.url)
    tap_cards(page, 3)
    expect(page.locator("#history-list li")).to_have_count(1)
    expect(page.locator("#status")).to_contain_text("does not store your data")
