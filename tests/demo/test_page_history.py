"""The history on the page: edited, stored, exported, shared by tabs, and read by the model."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import checked_page, open_page, open_rows, recommended_items, tap_cards
from tests.demo import encoders_page
from tests.demo.encoders_page import catalogue, expected_items

# Pages in a browser; tests/demo/test_page_recommender.py is the quick test of them.
pytestmark = pytest.mark.slow

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
    expect(rows).to_have_count(3)
    open_rows(page)
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


def test_items_beyond_the_history_length_are_folded_away(page):
    older, rows = page.locator("#older-items"), page.locator("#history-list li")
    tap_cards(page, *range(10))
    expect(rows).to_have_count(10)
    expect(older).to_be_hidden()
    tap_cards(page, 10)
    expect(older.locator("summary")).to_have_text("1 older item, not read by the model")
    tap_cards(page, 11)
    expect(page.locator("#history-list .not-read")).to_have_count(2)
    expect(page.locator("#history-hint")).to_contain_text("The model reads the last 10")
    expect(older.locator("summary")).to_have_text("2 older items, not read by the model")
    expect(older.locator("li").first).to_be_hidden()
    older.locator("summary").click()
    expect(older.locator("li.not-read:visible")).to_have_count(2)
    # The oldest item that is read changes places with the latest that is not.
    open_rows(page)
    oldest = page.locator("#history-rows li").last
    key = oldest.get_attribute("data-key")
    oldest.get_by_role("button", name="less recent").focus()
    page.keyboard.press("Enter")
    expect(older.locator("li").first).to_have_attribute("data-key", str(key))
    # Without one of the items that are read, the model reads one of the older ones.
    page.locator("#history-rows").get_by_role("button", name="Try without").first.click()
    expect(older.locator("summary")).to_have_text("1 older item, not read by the model")
    expect(older.locator("li")).to_have_count(1)


def test_an_excluded_item_among_the_older_ones_is_folded_away_with_them(page, models):
    items = [entry["item"] for entry in catalogue(models)][:12]
    page.evaluate(
        "stored => localStorage.setItem('jaxrec history synthetic', JSON.stringify(stored))",
        [{"item": item, "without": item == items[0]} for item in items],
    )
    page.reload()
    expect(page.locator("#older-items li")).to_have_count(2)
    expect(page.locator("#older-items .excluded")).to_have_count(1)


def test_clearing_the_history_can_be_undone(page, models, recommender):
    items = [entry["item"] for entry in catalogue(models)]
    tap_cards(page, 4, 8)
    rows, undo = page.locator("#history-list li"), page.locator("#undo")
    expect(rows).to_have_count(2)
    page.locator("#clear-history").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toast-text")).to_have_text("Your history is cleared.")
    expect(undo).to_be_focused()
    assert page.evaluate("localStorage.length") == 0
    tap_cards(page, 1)
    undo.focus()
    page.keyboard.press("Enter")
    # What was added since the deletion stays.
    expect(rows).to_have_count(3)
    history = [items[position] for position in (4, 8, 1)]
    assert recommended_items(page) == expected_items(recommender, history)
    expect(undo).to_be_hidden()
    expect(page.locator("#clear-history")).to_be_focused()
    page.reload()
    expect(rows).to_have_count(3)


HOLD_LONG_TIMERS = """
  window.timers = new Map();
  const { setTimeout, clearTimeout } = window;
  window.setTimeout = (run, delay, ...values) => {
    if (!(delay >= 5000)) return setTimeout(run, delay, ...values);
    const id = -1 - window.timers.size;
    window.timers.set(id, { run, delay });
    return id;
  };
  window.clearTimeout = (id) => window.timers.delete(id) || clearTimeout(id);
"""


def test_a_deletion_can_be_undone_until_its_time_is_over(browser, server):
    with checked_page(browser) as page:
        page.add_init_script(HOLD_LONG_TIMERS)
        open_page(page, server.url)
        tap_cards(page, 4)
        expect(page.locator("#history-list li")).to_have_count(1)
        page.get_by_role("button", name="Delete my data").click()
        undo = page.locator("#undo")
        expect(undo).to_be_focused()
        # The time does not pass while the button has the focus.
        assert page.evaluate("window.timers.size") == 0
        page.locator("#search").focus()
        page.mouse.move(0, 0)
        assert page.evaluate("Array.from(timers.values(), ({ delay }) => delay)") == [10_000]
        expect(undo).to_be_visible()
        page.evaluate("timers.forEach(({ run }) => run())")
        expect(undo).to_be_hidden()
        expect(page.locator("#toast-text")).to_be_empty()
        expect(page.locator("#history-list li")).to_have_count(0)


def test_the_history_survives_a_reload_until_it_is_deleted(page):
    tap_cards(page, 4, 8)
    rows = page.locator("#history-list li")
    expect(rows).to_have_count(2)
    open_rows(page)
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
    # A tab no longer offers to undo its deletion once another one has changed the history.
    other.locator("#clear-history").click()
    expect(other.locator("#undo")).to_be_visible()
    expect(page.locator("#history-list li")).to_have_count(0)
    tap_cards(page, 5)
    expect(other.locator("#history-list li")).to_have_count(1)
    expect(other.locator("#undo")).to_be_hidden()


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


def test_an_unreadable_stored_history_is_ignored(page):
    for stored in ("{", "7", '"x"', '{"item": 1}', '[{"item": null}, {}]', "[null]"):
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
    expect(page.get_by_text("No items left: your history has all of them.")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Top recommendation: no items left")


def test_the_page_is_usable_by_keyboard(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the catalogue")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#catalogue")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#search")).to_be_focused()
    page.locator(".skip-link").focus()
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
    oldest.locator("[name=details]").focus()
    page.keyboard.press("Enter")
    expect(oldest.locator("[name=details]")).to_have_attribute("aria-expanded", "true")
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
