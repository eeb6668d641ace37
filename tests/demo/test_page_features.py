"""Features in the browser: entered on the page, stored, and passed to the model."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from jaxrec.runtime import Recommender
from tests.browser import checked_page, open_page, open_rows, recommended_items, site, tap_cards
from tests.demo import features_page
from tests.demo.features_page import RAW

pytest.importorskip("tensorflow", reason="needs the extra convert")

# Pages in a browser; tests/demo/test_page_recommender.py is the quick test of them.
pytestmark = pytest.mark.slow

recommender, server = features_page.recommender, features_page.server

NOW = datetime(2026, 3, 1, 21, 30, tzinfo=UTC)  # a Sunday
HISTORY, USER = "jaxrec history made up", "jaxrec user made up"


@pytest.fixture
def page(browser, server):
    """Open the page with a fixed clock, and check that its scripts raise no errors."""
    with checked_page(browser) as page:
        page.clock.set_fixed_time(NOW)
        open_page(page, server.url)
        yield page


def expected_items(recommender: Recommender, items: list, **features) -> list[str]:
    """Return the items that the page should show at the time of its fixed clock."""
    values = {"hour": NOW.hour, "weekday": 7, **features}
    return [str(each.item) for each in recommender.recommend(items, 10, features=values)]


def history_row(page: Page, position: int) -> Locator:
    """Return an item's row in the history, by the item's position in the catalogue."""
    return page.locator(f'#history-list li[data-key="{RAW[position]}"]')


def stored(page: Page, key: str):
    return json.loads(page.evaluate("key => localStorage.getItem(key)", key))


def test_a_row_of_the_history_has_inputs_for_the_features_of_the_model(page):
    expect(page.locator("#inputs-notice")).to_be_hidden()
    tap_cards(page, 3)
    open_rows(page)
    title = f"Item {RAW[3]}"
    stars = history_row(page, 3).get_by_role("group", name=f"rating of {title}", exact=True)
    labels = [each.get_attribute("aria-label") for each in stars.get_by_role("radio").all()]
    assert labels == ["unknown", "1", "2", "3", "4", "5"]
    expect(stars.get_by_role("radio", name="unknown")).to_be_checked()
    device = history_row(page, 3).get_by_role("combobox", name=f"device of {title}", exact=True)
    assert device.locator("option").all_inner_texts() == ["unknown", "web", "phone"]
    price = history_row(page, 3).get_by_role("spinbutton", name=f"price of {title}", exact=True)
    expect(price).to_have_value("")
    # The age is computed from the tap and has no control.
    expect(history_row(page, 3).locator(".feature-input")).to_have_count(3)
    expect(page.locator("#inputs-notice")).to_have_text(
        "The model also reads the values you enter for items, the time since you tapped each "
        "item, and the current time. This data stays on this device."
    )
    you = page.get_by_role("group", name="About you")
    country = you.get_by_role("combobox", name="home country", exact=True)
    assert country.locator("option").all_inner_texts() == ["unknown", "fr", "33"]
    expect(you.get_by_role("spinbutton", name="income", exact=True)).to_have_value("")
    expect(page.locator("#model-facts")).to_contain_text(
        "rating, device, price, age, home country, income"
    )


def test_features_of_an_item_are_passed_to_the_model(page, recommender):
    tap_cards(page, 3, 12)
    items, ages = [RAW[3], RAW[12]], [0, 0]
    assert recommended_items(page) == expected_items(recommender, items, age=ages)
    open_rows(page)
    star = history_row(page, 12).get_by_role("radio", name="4")
    star.check()
    expect(history_row(page, 12).locator("[name=details]")).to_contain_text("4 ★")
    expect(page.locator("#status")).to_contain_text("The rating is 4. Top recommendation")
    assert recommended_items(page) == expected_items(recommender, items, age=ages, rating=[None, 4])
    assert recommended_items(page) != expected_items(recommender, items, age=ages)
    history_row(page, 3).get_by_role("combobox").select_option("phone")
    expect(page.locator("#status")).to_contain_text("The device is phone")
    history_row(page, 3).get_by_role("spinbutton").fill("7.5")
    history_row(page, 3).get_by_role("spinbutton").press("Enter")
    expect(page.locator("#status")).to_contain_text("The price is 7.5")
    values = {"rating": [None, 4], "device": ["phone", None], "price": [7.5, None]}
    assert recommended_items(page) == expected_items(recommender, items, age=ages, **values)

    page.reload()
    expect(page.locator("#history-list li")).to_have_count(2)
    open_rows(page)
    expect(star).to_be_checked()
    expect(history_row(page, 3).get_by_role("spinbutton")).to_have_value("7.5")
    assert recommended_items(page) == expected_items(recommender, items, age=ages, **values)
    history_row(page, 12).get_by_role("radio", name="unknown").check()
    expect(page.locator("#status")).to_contain_text("The rating is unknown")
    assert recommended_items(page) == expected_items(
        recommender, items, age=ages, **(values | {"rating": [None, None]})
    )
    # The features of an excluded item are excluded too.
    history_row(page, 3).get_by_role("button", name="Try without").click()
    expect(page.locator("#status")).to_contain_text(f"Without Item {items[0]}")
    assert recommended_items(page) == expected_items(recommender, items[1:], age=[0])


def test_an_age_is_the_time_since_the_tap(page, recommender):
    tap_cards(page, 3)
    page.clock.set_fixed_time(NOW + timedelta(seconds=1000))
    tap_cards(page, 12)
    items = [RAW[3], RAW[12]]
    assert recommended_items(page) == expected_items(recommender, items, age=[1000, 0])
    page.clock.set_fixed_time(NOW + timedelta(days=40, milliseconds=1999))
    page.reload()
    expect(page.locator("#history-list li")).to_have_count(2)
    seconds = 40 * 24 * 3600
    assert recommended_items(page) == expected_items(
        recommender, items, age=[seconds + 1, seconds - 1000 + 1], weekday=5
    )
    assert recommended_items(page) != expected_items(recommender, items, age=[1000, 0])
    assert [each["at"] for each in stored(page, HISTORY)] == [
        NOW.timestamp() * 1000,
        NOW.timestamp() * 1000 + 1_000_000,
    ]


def test_user_features_are_passed_stored_and_deleted(page, recommender):
    you = page.get_by_role("group", name="About you")
    you.get_by_role("combobox").select_option("33")
    expect(page.locator("#status")).to_contain_text("The home country is 33")
    assert recommended_items(page) == expected_items(recommender, [], user_home_country=33)
    you.get_by_role("spinbutton").fill("5000")
    you.get_by_role("spinbutton").press("Enter")
    expect(page.locator("#status")).to_contain_text("The income is 5000")
    assert stored(page, USER) == {"user_home_country": 33, "user_income": 5000}
    page.reload()
    expect(you.get_by_role("spinbutton")).to_have_value("5000")
    assert recommended_items(page) == expected_items(
        recommender, [], user_home_country=33, user_income=5000
    )
    # User features are not part of the history.
    tap_cards(page, 3)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#history-list li")).to_have_count(0)
    expect(you.get_by_role("spinbutton")).to_have_value("5000")
    page.get_by_role("button", name="Delete my data").click()
    expect(you.get_by_role("spinbutton")).to_have_value("")
    page.get_by_role("button", name="Undo").click()
    expect(you.get_by_role("spinbutton")).to_have_value("5000")
    assert stored(page, USER) == {"user_home_country": 33, "user_income": 5000}
    page.get_by_role("button", name="Delete my data").click()
    expect(you.get_by_role("spinbutton")).to_have_value("")
    assert recommended_items(page) == expected_items(recommender, [])
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"at": None, "told": None},
        {"at": "yesterday", "told": "7"},
        {"at": 1e300, "told": {"rating": "5", "device": 3, "price": "cheap", "mood": 1}},
    ],
)
def test_invalid_stored_values_are_unknown(page, recommender, more):
    entries = [{"item": item, **more} for item in RAW[:2]]
    user = {"user_home_country": "nowhere", "user_income": "much"}
    page.evaluate(
        """items => items.forEach(([key, value]) =>
          localStorage.setItem(key, JSON.stringify(value)))""",
        [[HISTORY, entries], [USER, user if more else 7]],
    )
    page.reload()
    expect(page.locator("#history-list li")).to_have_count(2)
    assert recommended_items(page) == expected_items(recommender, RAW[:2])
    open_rows(page)
    unknown = page.get_by_role("radio", name="unknown")
    expect(unknown).to_have_count(2)
    for stars in unknown.all():
        expect(stars).to_be_checked()


def test_a_history_of_an_older_release_is_read_and_kept(page, recommender):
    """Check the stored keys and fields, which older releases have written."""
    at = NOW.timestamp() * 1000 - 60_000
    entries = [
        {"item": RAW[3], "without": False, "at": at, "told": {"rating": 4}},
        {"item": RAW[12], "without": True},
    ]
    values = {"user_income": 5000}
    for key, value in (("jaxrec history made up", entries), ("jaxrec user made up", values)):
        page.evaluate("item => localStorage.setItem(...item)", [key, json.dumps(value)])
    page.reload()
    expect(page.locator("#history-list li")).to_have_count(2)
    expect(page.locator("#history-list .excluded")).to_have_count(1)
    open_rows(page)
    expect(history_row(page, 3).get_by_role("radio", name="4")).to_be_checked()
    assert recommended_items(page) == expected_items(
        recommender, [RAW[3]], age=[60], rating=[4], **values
    )
    open_rows(page)
    history_row(page, 12).get_by_role("button", name="Try without").click()
    expect(page.locator("#history-list .excluded")).to_have_count(0)
    entries[1]["without"] = False
    assert stored(page, HISTORY) == entries
    assert stored(page, USER) == values


def test_ratings_are_entered_by_keyboard(page, recommender):
    tap_cards(page, 3)
    page.get_by_role("button", name=f"Remove Item {RAW[3]}").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    history_row(page, 3).get_by_role("button", name="Try without").focus()
    page.keyboard.press("Tab")
    expect(history_row(page, 3).get_by_role("radio", name="unknown")).to_be_focused()
    for rating in ("1", "2", "3"):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#status")).to_contain_text(f"The rating is {rating}")
        expect(history_row(page, 3).get_by_role("radio", name=rating)).to_be_focused()
    assert recommended_items(page) == expected_items(recommender, [RAW[3]], age=[0], rating=[3])
    page.keyboard.press("Tab")
    expect(history_row(page, 3).get_by_role("combobox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#status")).to_contain_text("The device is web")


def test_an_exported_history_has_the_features(page, tmp_path):
    tap_cards(page, 3)
    open_rows(page)
    history_row(page, 3).get_by_role("radio", name="2").check()
    expect(page.locator("#status")).to_contain_text("The rating is 2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "history.json")
    (entry,) = json.loads((tmp_path / "history.json").read_text())
    assert entry == {
        "item": RAW[3],
        "title": None,
        "year": None,
        "at": "2026-03-01T21:30:00.000Z",
        "features": {"rating": 2},
    }


def test_a_model_without_features_has_no_inputs(browser, plain_model, tmp_path):
    with site(tmp_path / "site", plain_model) as server:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        open_page(page, server.url)
        tap_cards(page, 3)
        assert recommended_items(page) == [
            each.item for each in Recommender.load(plain_model).recommend([RAW[3]])
        ]
        expect(page.locator("#history-list li")).to_have_count(1)
        expect(page.locator(".feature-input")).to_have_count(0)
        for hidden in ("#user-features", "#inputs-notice", "#history-list .feature-inputs"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(page.locator("#model-facts")).not_to_contain_text("Also reads")
        assert stored(page, HISTORY) == [{"item": RAW[3], "without": False}]
        context.close()


def test_models_side_by_side_each_get_their_features(
    browser, plain_model, features_model, recommender, tmp_path
):
    with site(tmp_path / "site", plain_model, features_model) as server:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        page.clock.set_fixed_time(NOW)
        open_page(page, server.url)
        tap_cards(page, 3)
        expect(page.locator(".feature-input")).to_have_count(0)
        page.get_by_role("radio", name="Side by side").click()
        expect(page.locator(".list")).to_have_count(2)
        open_rows(page)
        history_row(page, 3).get_by_role("radio", name="5").check()
        expect(page.locator("#status")).to_contain_text("The rating is 5")
        plain = Recommender.load(plain_model)
        assert recommended_items(page, 0) == [each.item for each in plain.recommend([RAW[3]])]
        # Its age is unknown: no model on the page took ages when it was tapped.
        assert recommended_items(page, 1) == expected_items(recommender, [RAW[3]], rating=[5])
        context.close()
