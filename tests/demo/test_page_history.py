"""The history on the page: edited, stored, exported, shared by tabs, and read by the model."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import open_page, recommended_items, tap_cards
from tests.demo import encoders_page
from tests.demo.encoders_page import catalogue, expected_items

page, recommender, server = encoders_page.page, encoders_page.recommender, encoders_page.server


def test_tapping_a_card_toggles_it_in_the_history(page, models, recommender):
    items = [entry["item"] for entry in catalogue(models)]
    tap_cards(page, 3, 12)
    assert recommended_items(page) == expected_items(recommender, [items[3], items[12]])
    assert page.locator("#cards .card").nth(12).get_attribute("data-position") == "2"
    expect(page.locator("#status")).to_contain_text("Added")
    tap_cards(page, 3)
    assert recommended_items(page) == expected_items(recommender, [items[12]])
    expect(page.locator("#status")).to_contain_text("Removed")


def test_the_history_can_be_reordered_edited_and_cleared(page, models, recommender):
    items = [entry["item"] for entry in catalogue(models)]
    tap_cards(page, 0, 1, 2)
    rows = page.locator("#history-list li")
    rows.last.get_by_role("button", name="more recent").click()
    assert [row.get_attribute("data-key") for row in rows.all()] == [
        str(items[position]) for position in (2, 0, 1)
    ]

    try_without = rows.first.get_by_role("button", name="Try without")
    try_without.click()
    expect(try_without).to_have_attribute("aria-pressed", "true")
    assert recommended_items(page) == expected_items(recommender, [items[1], items[0]])
    expect(page.locator("#recommendations-hint")).to_contain_text("Recommendations without")
    try_without.click()
    expect(try_without).to_have_attribute("aria-pressed", "false")

    rows.first.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(0)
    assert recommended_items(page) == expected_items(recommender, [])


def test_items_beyond_the_history_length_are_marked_as_not_read(page):
    tap_cards(page, *range(12))
    expect(page.locator("#history-list .not-read")).to_have_count(2)
    expect(page.locator("#history-hint")).to_contain_text("The model reads the last 10")


def test_the_history_survives_a_reload_until_it_is_deleted(page):
    tap_cards(page, 4, 8)
    rows = page.locator("#history-list li")
    rows.first.get_by_role("button", name="Try without").click()
    expect(page.locator("#history-list .excluded")).to_have_count(1)
    before = recommended_items(page)
    page.reload()
    expect(rows).to_have_count(2)
    expect(page.locator("#history-list .excluded")).to_have_count(1)
    assert recommended_items(page) == before
    page.get_by_role("button", name="Delete my data").click()
    expect(rows).to_have_count(0)
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(rows).to_have_count(0)


def test_another_tab_is_synchronized(page, server):
    other = page.context.new_page()
    open_page(other, server.url)
    tap_cards(page, 2)
    expect(other.locator("#history-list li")).to_have_count(1)
    assert recommended_items(other) == recommended_items(page)


def test_the_history_is_exported_as_a_file(page, models, tmp_path):
    first = catalogue(models)[6]
    tap_cards(page, 6)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "history.json"
    download.value.save_as(tmp_path / "history.json")
    assert json.loads(Path(tmp_path / "history.json").read_text()) == [
        {"item": first["item"], "title": first["title"], "year": first["year"]}
    ]


@pytest.mark.parametrize(
    "stored", ["{", "7", '"x"', '{"item": 1}', '[{"item": null}, {}]', "[null]"]
)
def test_an_unreadable_stored_history_is_ignored(page, stored):
    page.evaluate("stored => localStorage.setItem('jaxrec history synthetic', stored)", stored)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(page.locator("#history-list li")).to_have_count(0)


def open_with_history(page, items) -> None:
    """Reload the page with these items stored as the history."""
    page.evaluate(
        "stored => localStorage.setItem('jaxrec history synthetic', JSON.stringify(stored))",
        [{"item": item} for item in items],
    )
    page.reload()


def test_unknown_items_stay_in_the_history_and_are_ignored(page, recommender, models):
    item = catalogue(models)[0]["item"]
    open_with_history(page, [10**9, item])
    expect(page.locator("#history-list li")).to_have_count(2)
    expect(page.locator("#history-list li").last).to_contain_text("unknown to this model")
    assert recommended_items(page) == expected_items(recommender, [item])


def test_a_history_of_unknown_items_gives_popular_items(page, recommender):
    open_with_history(page, [10**9, "heard of elsewhere"])
    expect(page.locator("#history-list .not-read")).to_have_count(2)
    expect(page.locator("#lists li")).to_have_count(10)
    assert recommended_items(page) == expected_items(recommender, [])
    expect(page.locator(".time")).not_to_be_empty()


def test_a_history_of_all_items_leaves_no_recommendations(page, models):
    items = [entry["item"] for entry in catalogue(models)]
    open_with_history(page, items[1:])
    expect(page.locator("#lists li")).to_have_count(1)
    assert recommended_items(page) == [str(items[0])]
    tap_cards(page, 0)
    expect(page.locator("#lists li")).to_have_count(0)
    expect(page.locator("#top-recommendation")).to_contain_text("no items left")


def test_the_page_is_usable_by_keyboard(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the recommendations")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#recommendations")).to_be_focused()
    while page.evaluate("!document.activeElement.closest('#lists')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#history-list li")).to_have_count(1)
    # The item has left the list; the focus moves to the item that replaces it.
    expect(page.locator("#lists button").first).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#history-list li")).to_have_count(3)

    oldest = page.locator("#history-list li").last
    oldest.get_by_role("button", name="more recent").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    newest = page.locator("#history-list li").first
    expect(newest.get_by_role("button", name="Try without")).to_be_focused()
    newest.get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history-list li")).to_have_count(2)
    expect(
        page.locator("#history-list li").first.get_by_role("button", name="Remove")
    ).to_be_focused()
