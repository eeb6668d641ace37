"""Adaptation on the page: it runs in a worker, stays in the browser, and gives Python's results."""

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from jaxrec.runtime import Adapter, Recommender
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.demo import learning_page
from tests.demo.learning_page import (
    MIN_ITEMS,
    export_learning_model,
    hold_model_requests,
    items_at,
    learn,
    learn_with_blocked_worker,
    open_new_page,
    positions_with_kept_adapter,
    set_history,
    stored_adapters,
)

page, recommender, server = learning_page.page, learning_page.recommender, learning_page.server


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


@pytest.mark.slow
def test_a_newer_model_learns_the_adapter_again(
    browser, runs, learning_model, recommender, tmp_path
):
    (tmp_path / "newer").mkdir()
    newer = export_learning_model(runs, tmp_path / "newer", "--top-k=50")
    with site(tmp_path / "site", learning_model) as server:
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


@pytest.mark.slow
def test_taps_are_answered_while_the_worker_learns(browser, learning_model, recommender, tmp_path):
    """The worker is held up while the user taps: the page does not wait for it."""
    with site(tmp_path / "site", learning_model) as server:
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


@pytest.mark.slow
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


def test_a_failed_worker_is_reported_and_nothing_is_stored(
    browser, learning_model, recommender, tmp_path
):
    with site(tmp_path / "site", learning_model) as server:
        page = open_new_page(browser, server)
        set_history(page, recommender, positions_with_kept_adapter(recommender))
        page.route("**/models/*", lambda route: route.fulfill(body="no model"))
        page.locator("#learn").click()
        expect(page.locator("#status")).to_contain_text("Learning failed: The model")
        assert stored_adapters(page) == {}
        expect(page.locator("#learn")).to_be_enabled()
        page.context.close()


CALL = """async ([url, calls]) => {
  const { Recommender } = await import('./jaxrec/recommender.js');
  const recommender = await Recommender.load(url, { runtime: 'runtime' });
  const results = [];
  for (const [method, ...values] of calls) {
    const result = recommender[method](...values);
    results.push(await result.catch((error) => `${error.name}: ${error.message}`));
  }
  return results;
}"""


def test_the_javascript_module_matches_python(browser, server, learning_model, recommender):
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
            "this is not an adapter",
        ],
        strict=True,
    ):
        assert error.startswith(f"RangeError: {message}"), error
    page.close()
