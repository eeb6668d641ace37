"""Adaptation on the page: it runs in a worker, stays in the browser, and can be deleted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from jaxrec.runtime import Adapter, Recommender, bundle
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.bundles import rewrite_bundle
from tests.exports import convert

MIN_ITEMS = 7


def export_learning_model(runs, folder: Path, *flags: str) -> Path:
    flags = ("--adapt", "--activities=30", f"--held-back={MIN_ITEMS - 2}", "--decay=0.5", *flags)
    process = convert(f"--run-dir={runs['bow']}", f"--export-dir={folder}", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder / "model.tflite"


@pytest.fixture(scope="module")
def model(runs, tmp_path_factory) -> Path:
    return export_learning_model(runs, tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with site(tmp_path_factory.mktemp("page") / "site", model) as server:
        yield server


@pytest.fixture(scope="module")
def recommender(model) -> Recommender:
    return Recommender.load(model)


@pytest.fixture
def page(browser, server):
    context = browser.new_context(service_workers="block", accept_downloads=True)
    page = context.new_page()
    errors, requests = [], []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: requests.append(request))
    open_page(page, server.url)
    yield page
    context.close()
    assert not errors
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


def positions_with_dropped_adapter(recommender: Recommender) -> list[int]:
    """Find catalogue positions whose last items the earlier ones do not help to predict."""
    for start in range(30):
        positions = [*range(start, start + 12), *range(115, 115 + MIN_ITEMS - 2)]
        if not recommender.adapt(items_at(recommender, positions)).is_kept:
            return positions
    raise AssertionError("every history has an adapter that is kept")


def test_a_user_learns_an_adapter_and_forgets_it(page, recommender):
    expect(page.locator("#learn")).to_be_disabled()
    expect(page.locator("#learning-status")).to_contain_text(
        f"needs at least {MIN_ITEMS} items; you have 0"
    )
    positions = positions_with_kept_adapter(recommender)
    tap_cards(page, *positions)
    history = items_at(recommender, positions)
    before = recommended_items(page)
    page.locator("#learn").click()
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
    expect(page.locator("#status")).to_contain_text("Learned from your history")
    # The worker learns the same adapter as the same file in Python.
    (stored,) = stored_adapters(page).values()
    adapter, expected = Adapter.from_json(json.dumps(stored)), recommender.adapt(history)
    np.testing.assert_allclose(adapter.vector, expected.vector, atol=2e-3)
    losses = expected.before, expected.after
    assert (adapter.before, adapter.after) == pytest.approx(losses, abs=1e-4)
    after = [str(each.item) for each in recommender.recommend(history, adapter=adapter)]
    assert recommended_items(page) == after
    assert after != before

    # The adapter is restored after a reload, and can be exported.
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
    assert recommended_items(page) == after
    with page.expect_download() as download:
        page.locator("#export-adapters").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert list(exported.values()) == [stored]

    page.locator("#forget").click()
    expect(page.locator("#learning-status")).to_contain_text("can learn from up to 30")
    expect(page.locator("#forget")).to_be_hidden()
    assert recommended_items(page) == before
    assert stored_adapters(page) == {}


def test_an_adapter_that_does_not_help_is_dropped(page, recommender):
    """The last items of this user are unlike all items before them."""
    items, positions = list(recommender.items), positions_with_dropped_adapter(recommender)
    history = [{"item": items[position], "without": False} for position in positions]
    key = "jaxrec history synthetic"
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, json.dumps(history)])
    page.reload()
    expect(page.locator("#history-list li")).to_have_count(len(positions))
    before = recommended_items(page)
    page.locator("#learn").click()
    expect(page.locator("#learning-status")).to_contain_text("Learned and discarded")
    assert recommended_items(page) == before


def test_delete_my_data_deletes_the_adapter(page, recommender):
    set_history(page, recommender, positions_with_kept_adapter(recommender))
    page.locator("#learn").click()
    expect(page.locator("#forget")).to_be_visible()
    page.locator("#delete-data").click()
    expect(page.locator("#forget")).to_be_hidden()
    assert stored_adapters(page) == {}


def test_a_newer_model_learns_the_adapter_again(browser, runs, model, recommender, tmp_path):
    (tmp_path / "newer").mkdir()
    newer = export_learning_model(runs, tmp_path / "newer", "--top-k=50")
    with site(tmp_path / "site", model) as server:
        page = open_new_page(browser, server)
        set_history(page, recommender, positions_with_kept_adapter(recommender))
        page.locator("#learn").click()
        expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
        (old,) = stored_adapters(page).values()
        server.publish(newer)
        page.reload()
        expect(page.locator("#status")).to_contain_text("The model was updated and has learned")
        expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
        (new,) = stored_adapters(page).values()
        assert new["model"] == Recommender.load(newer).model["graph"]["sha256"] != old["model"]
        page.context.close()


def test_taps_are_answered_while_the_worker_learns(browser, model, recommender, tmp_path):
    """The worker is held up while the user taps: the page does not wait for it."""
    with site(tmp_path / "site", model) as server:
        page = open_new_page(browser, server)
        set_history(page, recommender, positions_with_kept_adapter(recommender))
        held = hold_model_requests(page)
        page.locator("#learn").click()
        expect(page.locator("#learning-status")).to_contain_text("Learning from your history")
        before = recommended_items(page)
        tap_cards(page, 40)
        assert recommended_items(page) != before
        assert page.locator("#learn").is_disabled()
        expect(page.locator("#learning-status")).to_contain_text("Learning from your history")
        while not held:
            page.wait_for_timeout(20)
        for route in held:
            route.continue_()
        expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
        page.context.close()


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


def expect_nothing_learned(page: Page, recommender: Recommender, history: list) -> None:
    expect(page.locator("#forget")).to_be_hidden()
    expect(page.locator("#learning-status")).not_to_contain_text("Learning from")
    assert recommended_items(page) == [str(each.item) for each in recommender.recommend(history)]
    assert stored_adapters(page) == {}


@pytest.mark.parametrize("button", ["Delete my data", "Clear", "Forget"])
@pytest.mark.parametrize("tab", ["this", "another"])
def test_a_deletion_while_the_worker_learns_drops_the_adapter(
    browser, server, recommender, button, tab
):
    page, positions = open_new_page(browser, server), positions_with_kept_adapter(recommender)
    set_history(page, recommender, positions)
    learn(page)
    deleting = page
    if tab == "another":
        deleting = page.context.new_page()
        open_page(deleting, server.url)
    finish = learn_with_blocked_worker(page)
    deleting.get_by_role("button", name=button, exact=True).click()
    history = items_at(recommender, positions) if button == "Forget" else []
    expect(page.locator("#history-list li")).to_have_count(len(history))
    finish()
    for each in {page, deleting}:
        expect_nothing_learned(each, recommender, history)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect_nothing_learned(page, recommender, history)
    page.context.close()


def test_adapters_are_synchronized_between_tabs(browser, server, recommender):
    page, positions = open_new_page(browser, server), positions_with_kept_adapter(recommender)
    other = page.context.new_page()
    open_page(other, server.url)
    set_history(page, recommender, positions)
    before = recommended_items(page)
    learn(page)
    expect(other.locator("#learning-status")).to_contain_text("Learned and kept")
    assert recommended_items(other) == recommended_items(page) != before
    other.locator("#forget").click()
    for each in (page, other):
        expect_nothing_learned(each, recommender, items_at(recommender, positions))
    learn(page)
    expect(other.locator("#learning-status")).to_contain_text("Learned and kept")
    page.context.close()


def test_emptying_the_history_deletes_the_adapter(browser, server, recommender):
    page, positions = open_new_page(browser, server), positions_with_kept_adapter(recommender)
    set_history(page, recommender, positions)
    learn(page)
    while page.locator("#history-list li").count() > 1:
        page.locator("#history-list [name=remove]").first.click()
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
    page.locator("#history-list [name=remove]").click()
    expect_nothing_learned(page, recommender, [])
    page.context.close()


def test_an_adapter_of_an_older_release_is_read(browser, server, recommender):
    """Check the stored keys and fields, which older releases have written."""
    page, positions = open_new_page(browser, server), positions_with_kept_adapter(recommender)
    history = items_at(recommender, positions)
    adapter = recommender.adapt(history)
    adapters = {recommender.model["run"]: json.loads(adapter.to_json())}
    stored = {
        "jaxrec learned synthetic": {"deletions": 1, "adapters": adapters},
        "jaxrec deletions synthetic": 1,
    }
    for key, value in stored.items():
        page.evaluate("item => localStorage.setItem(...item)", [key, json.dumps(value)])
    set_history(page, recommender, positions)
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
    expected = [str(each.item) for each in recommender.recommend(history, adapter=adapter)]
    assert recommended_items(page) == expected
    assert stored_adapters(page) == adapters
    page.context.close()


def test_an_adapter_stored_after_a_deletion_is_discarded(browser, server, recommender):
    page, positions = open_new_page(browser, server), positions_with_kept_adapter(recommender)
    set_history(page, recommender, positions)
    learn(page)
    stored = page.evaluate("Object.entries(localStorage).find(([key]) => key.includes('learned'))")
    page.locator("#forget").click()
    expect(page.locator("#forget")).to_be_hidden()
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", stored)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect_nothing_learned(page, recommender, items_at(recommender, positions))
    assert page.evaluate("key => localStorage.getItem(key)", stored[0]) is None
    page.context.close()


def test_a_page_from_the_back_forward_cache_rereads_the_storage(page):
    """A cached page receives no storage events of other tabs."""
    tap_cards(page, 3)
    page.evaluate("localStorage.clear()")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("#history-list li")).to_have_count(0)


def test_forget_keeps_the_adapters_of_models_that_are_not_shown(
    browser, model, recommender, tmp_path
):
    card = bundle.read_bundle(model).model
    rewrite_bundle(model, tmp_path / "other.tflite", model_json={**card, "run": "other"})
    with site(tmp_path / "site", model, tmp_path / "other.tflite") as server:
        page = open_new_page(browser, server)
        set_history(page, recommender, positions_with_kept_adapter(recommender))
        page.get_by_role("radio", name="Side by side").click()
        expect(page.locator("#learning-status")).to_contain_text("other: The model can learn")
        page.locator("#learn").click()
        expect(page.locator("#learning-status")).to_contain_text("other: Learned and kept")
        assert {*stored_adapters(page)} == {card["run"], "other"}
        page.get_by_role("radio", name="other").click()
        page.locator("#forget").click()
        expect(page.locator("#forget")).to_be_hidden()
        page.reload()
        expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
        assert {*stored_adapters(page)} == {card["run"]}
        page.context.close()


def test_a_browser_without_storage_learns_and_forgets(browser, server, recommender):
    page = browser.new_context(service_workers="block").new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    )
    open_page(page, server.url)
    positions = positions_with_kept_adapter(recommender)
    tap_cards(page, *positions)
    before = recommended_items(page)
    learn(page)
    assert recommended_items(page) != before
    finish = learn_with_blocked_worker(page)
    page.locator("#forget").click()
    finish()
    expect(page.locator("#learning-status")).to_contain_text("can learn from up to 30")
    assert recommended_items(page) == before
    page.context.close()


def test_a_failed_worker_is_reported_and_nothing_is_stored(browser, model, recommender, tmp_path):
    with site(tmp_path / "site", model) as server:
        page = open_new_page(browser, server)
        set_history(page, recommender, positions_with_kept_adapter(recommender))
        page.route("**/models/*", lambda route: route.fulfill(body="no model"))
        page.locator("#learn").click()
        expect(page.locator("#status")).to_contain_text("Learning failed: The model")
        assert stored_adapters(page) == {}
        expect(page.locator("#learn")).to_be_enabled()
        page.context.close()


CALL = """async ([url, calls]) => {
  const { Recommender } = await import('./recommender.js');
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const results = [];
  for (const [method, ...values] of calls) {
    const result = recommender[method](...values);
    results.push(await result.catch((error) => `${error.name}: ${error.message}`));
  }
  return results;
}"""


def test_the_javascript_module_matches_python(browser, server, model, recommender):
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    history = items_at(recommender, positions_with_kept_adapter(recommender))
    adapter = json.loads(recommender.adapt(history).to_json())
    weights = [1.0] * len(history)
    candidates = list(recommender.items[40:60])
    other = {**adapter, "model": "x"}
    calls = [
        ["adapt", [*history, "unknown"]],
        ["adapt", history, {"weights": weights}],
        ["score", history, candidates, {"adapter": adapter}],
        ["adapt", history[:4]],
        ["adapt", history, {"weights": [1]}],
        ["adapt", history, {"weights": [-1] * len(history)}],
        ["recommend", history, 3, {"adapter": other}],
        ["recommend", history, 3, {"adapter": {**adapter, "vector": [1]}}],
        ["recommend", history, 3, {"adapter": {**adapter, "vector": [None] * 16}}],
        ["recommend", history, 3, {"adapter": {}}],
    ]
    url = json.loads((server.folder / "models.json").read_text())[0]["path"]
    results = page.evaluate(CALL, [url, calls])
    adapters = recommender.adapt(history), recommender.adapt(history, weights=weights)
    for result, expected in zip(results, adapters, strict=False):
        np.testing.assert_allclose(result["vector"], expected.vector, atol=2e-3)
        assert result["after"] == pytest.approx(expected.after, abs=1e-4)
    scores = recommender.score(history, candidates, adapter=Adapter.from_json(json.dumps(adapter)))
    np.testing.assert_allclose(results[2], scores, atol=1e-4)
    for error, message in zip(
        results[3:],
        [
            f"items has 4 known items, and an adapter needs {MIN_ITEMS} or more",
            f"weights has 1 entries for {len(history)} items",
            "weights has values that are negative or not finite",
            "the adapter belongs to the model x, this is",
            "the adapter has the shape [1], the model takes [16]",
            "the adapter has values that are not finite",
            "this is not an adapter of format 1",
        ],
        strict=True,
    ):
        assert error.startswith(f"RangeError: {message}"), error
    page.close()
