"""Adapters that the page stores: read again, shared by tabs, and deleted with the user's data."""

import json

import pytest
from playwright.sync_api import Page, expect

from jaxrec.runtime import Recommender, bundle
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.bundles import rewrite_bundle
from tests.demo import learning_page
from tests.demo.learning_page import (
    items_at,
    learn,
    learn_with_blocked_worker,
    open_new_page,
    positions_with_kept_adapter,
    set_history,
    stored_adapters,
)

# Pages in a browser; tests/demo/test_page_recommender.py is the quick test of them.
pytestmark = pytest.mark.slow

page, recommender, server = learning_page.page, learning_page.recommender, learning_page.server


def test_delete_my_data_deletes_the_adapter_unless_undone(page, recommender):
    set_history(page, recommender, positions_with_kept_adapter(recommender))
    learn(page)
    learned, before = recommended_items(page), stored_adapters(page)
    page.locator("#delete-data").click()
    expect(page.locator("#forget")).to_be_hidden()
    assert stored_adapters(page) == {}
    page.locator("#undo").click()
    expect(page.locator("#learning-status")).to_contain_text("Learned and kept")
    assert recommended_items(page) == learned
    assert stored_adapters(page) == before != {}
    page.locator("#delete-data").click()
    expect(page.locator("#forget")).to_be_hidden()
    assert stored_adapters(page) == {}


def expect_nothing_learned(page: Page, recommender: Recommender, history: list) -> None:
    expect(page.locator("#forget")).to_be_hidden()
    expect(page.locator("#learning-status")).not_to_contain_text("Learning from")
    assert recommended_items(page) == [str(each.item) for each in recommender.recommend(history)]
    assert stored_adapters(page) == {}


@pytest.mark.parametrize(
    ("button", "tab"),
    [
        *(("Clear", "another"), ("Delete my data", "another"), ("Forget", "another")),
        *(("Clear", "this"), ("Delete my data", "this"), ("Forget", "this")),
    ],
)
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
    browser, learning_model, recommender, tmp_path
):
    card = bundle.read_bundle(learning_model).model
    rewrite_bundle(learning_model, tmp_path / "other.tflite", model_json={**card, "run": "other"})
    with site(tmp_path / "site", learning_model, tmp_path / "other.tflite") as server:
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
