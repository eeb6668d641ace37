"""Features in the browser: entered on the page, stored, and passed to the model."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.runtime import Recommender
from jaxrec.schema import AGE, Feature
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.bundles import make_bundle, save_bundle
from tests.small_models import SIZE, make_model

pytest.importorskip("tensorflow", reason="needs the extra convert")

FEATURES = (
    Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5)),
    Feature("device", "activity", "id", 2, ("web", "phone")),
    Feature("price", "activity", "number", 4, (-2.5, 0.0, 8.0)),
    Feature(AGE, "activity", "age", len(GAP_EDGES)),
    Feature("user_home_country", "user", "id", 2, ("fr", 33)),
    Feature("user_income", "user", "number", 3, (1e3, 2e6)),
    Feature("hour", "moment", "id", 24, tuple(range(24))),
    Feature("weekday", "moment", "id", 7, tuple(range(1, 8))),
)
NAMES = ", ".join(each.name for each in FEATURES)
SHAPES = Shapes(1, 5, 20, 4, False)
RAW = [f"item {number}" for number in range(SIZE, 0, -1)]
NOW = datetime(2026, 3, 1, 21, 30, tzinfo=UTC)  # a Sunday
HISTORY, USER = "jaxrec history made up", "jaxrec user made up"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """Write a model with features of all kinds, and one without features."""
    folder = tmp_path_factory.mktemp("models")
    features, plain = make_model("rnn", features=FEATURES), make_model("rnn")
    return {
        "features": save_bundle(make_bundle(features, SHAPES, RAW), folder / "features.tflite"),
        "plain": save_bundle(make_bundle(plain, SHAPES, RAW), folder / "plain.tflite"),
    }


@pytest.fixture(scope="module")
def recommender(models) -> Recommender:
    return Recommender.load(models["features"])


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, models["features"]) as server:
        (folder / "features.tflite").write_bytes(models["features"].read_bytes())
        yield server


@pytest.fixture
def page(browser, server):
    """Open the page with a fixed clock, and check that its scripts raise no errors."""
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.clock.set_fixed_time(NOW)
    open_page(page, server.url)
    yield page
    context.close()
    assert not errors


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
    star = history_row(page, 12).get_by_role("radio", name="4")
    star.check()
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
    for stars in page.get_by_role("radio", name="unknown").all():
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
    expect(history_row(page, 3).get_by_role("radio", name="4")).to_be_checked()
    assert recommended_items(page) == expected_items(
        recommender, [RAW[3]], age=[60], rating=[4], **values
    )
    history_row(page, 12).get_by_role("button", name="Try without").click()
    expect(page.locator("#history-list .excluded")).to_have_count(0)
    entries[1]["without"] = False
    assert stored(page, HISTORY) == entries
    assert stored(page, USER) == values


def test_ratings_are_entered_by_keyboard(page, recommender):
    tap_cards(page, 3)
    page.get_by_role("button", name="Remove").focus()
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


def test_a_model_without_features_has_no_inputs(browser, models, tmp_path):
    with site(tmp_path / "site", models["plain"]) as server:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        open_page(page, server.url)
        tap_cards(page, 3)
        assert recommended_items(page) == [
            each.item for each in Recommender.load(models["plain"]).recommend([RAW[3]])
        ]
        expect(page.locator("#history-list li")).to_have_count(1)
        expect(page.locator(".feature-input")).to_have_count(0)
        for hidden in ("#user-features", "#inputs-notice", "#history-list .feature-inputs"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(page.locator("#model-facts")).not_to_contain_text("Also reads")
        assert stored(page, HISTORY) == [{"item": RAW[3], "without": False}]
        context.close()


def test_models_side_by_side_each_get_their_features(browser, models, recommender, tmp_path):
    with site(tmp_path / "site", models["plain"], models["features"]) as server:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        page.clock.set_fixed_time(NOW)
        open_page(page, server.url)
        tap_cards(page, 3)
        expect(page.locator(".feature-input")).to_have_count(0)
        page.get_by_role("radio", name="Side by side").click()
        expect(page.locator(".list")).to_have_count(2)
        history_row(page, 3).get_by_role("radio", name="5").check()
        expect(page.locator("#status")).to_contain_text("The rating is 5")
        plain = Recommender.load(models["plain"])
        assert recommended_items(page, 0) == [each.item for each in plain.recommend([RAW[3]])]
        # Its age is unknown: no model on the page took ages when it was tapped.
        assert recommended_items(page, 1) == expected_items(recommender, [RAW[3]], rating=[5])
        context.close()


CALLS = """async (calls) => {
  const { Recommender } = await import('./recommender.js');
  const bytes = new Uint8Array(await (await fetch('features.tflite')).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const results = [];
  for (const [method, ...values] of calls) {
    const toText = (error) => `${error.name}: ${error.message}`;
    const result = await recommender[method](...values).catch(toText);
    results.push(result instanceof Float32Array ? Array.from(result) : result);
  }
  return [results, recommender.features];
}"""


@pytest.fixture(scope="module")
def call(browser, server):
    """Yield a function that calls recommender methods in the browser; errors return as text."""
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    yield lambda *calls: page.evaluate(CALLS, calls)[0]
    page.close()


# Raw values of each feature, valid and invalid.
CHOICES = {
    "rating": [1, 5, 0, 99, 2.5, "5", "", None, math.nan],
    "device": ["web", "phone", "Web", 1, None],
    "price": [0, -2.5, 7.99, 8, 1e39, -1e300, None, math.nan],
    AGE: [0, 59.9, 3600, 2**31, 2**40, -0.5, -1, 1e300, None, math.nan],
    "user_home_country": ["fr", 33, "33", None],
    "user_income": [0, 1e3, 5e6, None, math.nan],
    "hour": [0, 23, 24, None],
    "weekday": [0, 1, 7, 8, None],
}


def draw_history(rng: np.random.Generator) -> tuple[list, dict]:
    """Draw a history, in which items may be unknown, and values of some features."""
    items = rng.choice([*RAW, "unknown item"], rng.integers(1, 12)).tolist()
    features = {}
    for feature in FEATURES:
        choices = CHOICES[feature.name]
        if rng.random() < 0.3:
            continue
        values = [choices[position] for position in rng.integers(len(choices), size=len(items))]
        features[feature.name] = values if feature.of == "activity" else values[0]
    return [RAW[0], *items], {
        name: [None, *values] if isinstance(values, list) else values
        for name, values in features.items()
    }


def test_raw_values_are_encoded_in_the_browser_as_in_python(call, recommender):
    rng = np.random.default_rng(0)
    requests = [draw_history(rng) for _ in range(60)]
    queries = call(*(("encode", items, {"features": features}) for items, features in requests))
    for (items, features), query in zip(requests, queries, strict=True):
        expected = recommender.encode(items, features=features)
        np.testing.assert_allclose(query, expected, rtol=0, atol=1e-5)
    items, features = zip(*requests[:9], strict=True)
    (lists,) = call(("recommendMany", items, 7, {"features": features}))
    for number, found in enumerate(lists):
        expected = recommender.recommend(items[number], 7, features=features[number])
        scores = [each["score"] for each in found]
        np.testing.assert_allclose(scores, [each.score for each in expected], rtol=0, atol=1e-5)


def test_missing_features_equal_unknown_values(call, recommender):
    items = [RAW[4], RAW[11], RAW[2]]
    options_of_unknown = [
        {},
        {"features": {}},
        {"features": {"rating": [None] * 3, "price": [math.nan] * 3, "user_home_country": None}},
        {
            "features": {
                "rating": [99, "5", 2.5],
                AGE: [-1, 2**40, math.nan],
                "user_income": math.nan,
            }
        },
    ]
    queries = call(*(("encode", items, options) for options in options_of_unknown))
    assert queries[1:] == queries[:1] * 3
    np.testing.assert_allclose(queries[0], recommender.encode(items), rtol=0, atol=1e-5)
    scores = call(*(("score", items, RAW, options) for options in options_of_unknown))
    assert scores[1:] == scores[:1] * 3


def test_an_error_in_a_feature_names_the_remedy(call):
    items = RAW[:2]
    mistakes = {
        "country": (
            ["fr"],
            f'RangeError: the model has no feature "country"; it has {NAMES}',
        ),
        "history": (
            [1, 2],
            f'RangeError: the model has no feature "history"; it has {NAMES}',
        ),
        "rating": ([1], 'RangeError: 1 values of "rating" for 2 items; give one for each'),
        "device": ("web", 'TypeError: the values of "device" are "web" (string), not a list; '),
        "price": (
            [2, "cheap"],
            'TypeError: the value "cheap" (string) of "price" is not a number; give a number, or ',
        ),
        AGE: (
            ["yesterday", None],
            'TypeError: the value "yesterday" (string) of "age" is not a number; give a number of ',
        ),
        "user_home_country": (
            ["fr"],
            'TypeError: "user_home_country", a feature of the user, is fr (object); give one value',
        ),
    }
    errors = call(
        *(("encode", items, {"features": {name: value}}) for name, (value, _) in mistakes.items())
    )
    for error, (_, message) in zip(errors, mistakes.values(), strict=True):
        assert error.startswith(message)
    (error,) = call(("recommendMany", [[], items], 5, {"features": [{}, {"rating": [1]}]}))
    assert error == (
        'RangeError: 1 values of "rating" for 2 items of histories[1]; give one for each'
    )


def test_the_recommender_lists_its_features(browser, server, recommender):
    page = browser.new_page()
    page.goto(f"{server.url}models.json")
    _, features = page.evaluate(CALLS, [])
    page.close()
    found = [(each["name"], each["of"], each["kind"], tuple(each["values"])) for each in features]
    assert found == [(each.name, each.of, each.kind, each.values) for each in recommender.features]
