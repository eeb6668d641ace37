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
from tests.browser import open_page, shown, site, tap
from tests.bundles import made, saved
from tests.test_models import SIZE, make

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
    told, untold = make("rnn", features=FEATURES), make("rnn")
    return {
        "told": saved(made(told, SHAPES, RAW), folder / "told.tflite"),
        "untold": saved(made(untold, SHAPES, RAW), folder / "untold.tflite"),
    }


@pytest.fixture(scope="module")
def python(models) -> Recommender:
    return Recommender.load(models["told"])


@pytest.fixture(scope="module")
def place(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, models["told"]) as place:
        (folder / "told.tflite").write_bytes(models["told"].read_bytes())
        yield place


@pytest.fixture
def page(browser, place):
    """Open the page with a fixed clock, and check that its scripts raise no errors."""
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.clock.set_fixed_time(NOW)
    open_page(page, place.url)
    yield page
    context.close()
    assert not errors


def best(python: Recommender, items: list, **features) -> list[str]:
    """Return the items that the page should show at the time of its fixed clock."""
    told = {"hour": NOW.hour, "weekday": 7, **features}
    return [str(each.item) for each in python.recommend(items, 10, features=told)]


def card(page: Page, place: int) -> Locator:
    """Return an item's card in the history, by the item's position in the catalogue."""
    return page.locator(f'#seen li[data-key="{RAW[place]}"]')


def stored(page: Page, key: str):
    return json.loads(page.evaluate("key => localStorage.getItem(key)", key))


def test_a_card_has_controls_for_the_features_of_the_model(page):
    expect(page.locator("#told-hint")).to_be_hidden()
    tap(page, 3)
    title = f"Item {RAW[3]}"
    stars = card(page, 3).get_by_role("group", name=f"rating of {title}", exact=True)
    labels = [each.get_attribute("aria-label") for each in stars.get_by_role("radio").all()]
    assert labels == ["unknown", "1", "2", "3", "4", "5"]
    expect(stars.get_by_role("radio", name="unknown")).to_be_checked()
    device = card(page, 3).get_by_role("combobox", name=f"device of {title}", exact=True)
    assert device.locator("option").all_inner_texts() == ["unknown", "web", "phone"]
    price = card(page, 3).get_by_role("spinbutton", name=f"price of {title}", exact=True)
    expect(price).to_have_value("")
    # The age is computed from the tap and has no control.
    expect(card(page, 3).locator(".control")).to_have_count(3)
    expect(page.locator("#told-hint")).to_have_text(
        "The model is told what you say of each item, how long ago you tapped it, and what time "
        "it is. It stays on this device."
    )
    you = page.get_by_role("group", name="About you")
    country = you.get_by_role("combobox", name="home country", exact=True)
    assert country.locator("option").all_inner_texts() == ["unknown", "fr", "33"]
    expect(you.get_by_role("spinbutton", name="income", exact=True)).to_have_value("")
    expect(page.locator("#facts")).to_contain_text(
        "rating, device, price, age, home country, income"
    )


def test_features_of_an_item_are_passed_to_the_model(page, python):
    tap(page, 3, 12)
    items, ages = [RAW[3], RAW[12]], [0, 0]
    assert shown(page) == best(python, items, age=ages)
    star = card(page, 12).get_by_role("radio", name="4")
    star.check()
    expect(page.locator("#status")).to_contain_text("The rating is 4. First for you")
    assert shown(page) == best(python, items, age=ages, rating=[None, 4])
    assert shown(page) != best(python, items, age=ages)
    card(page, 3).get_by_role("combobox").select_option("phone")
    expect(page.locator("#status")).to_contain_text("The device is phone")
    card(page, 3).get_by_role("spinbutton").fill("7.5")
    card(page, 3).get_by_role("spinbutton").press("Enter")
    expect(page.locator("#status")).to_contain_text("The price is 7.5")
    told = {"rating": [None, 4], "device": ["phone", None], "price": [7.5, None]}
    assert shown(page) == best(python, items, age=ages, **told)

    page.reload()
    expect(star).to_be_checked()
    expect(card(page, 3).get_by_role("spinbutton")).to_have_value("7.5")
    assert shown(page) == best(python, items, age=ages, **told)
    card(page, 12).get_by_role("radio", name="unknown").check()
    expect(page.locator("#status")).to_contain_text("The rating is unknown")
    assert shown(page) == best(python, items, age=ages, **(told | {"rating": [None, None]}))
    # An item that is left out is left out with its features.
    card(page, 3).get_by_role("button", name="What if not?").click()
    expect(page.locator("#status")).to_contain_text("Tried out")
    assert shown(page) == best(python, items[1:], age=[0])


def test_an_age_is_the_time_since_the_tap(page, python):
    tap(page, 3)
    page.clock.set_fixed_time(NOW + timedelta(seconds=1000))
    tap(page, 12)
    items = [RAW[3], RAW[12]]
    assert shown(page) == best(python, items, age=[1000, 0])
    page.clock.set_fixed_time(NOW + timedelta(days=40, milliseconds=1999))
    page.reload()
    expect(page.locator("#seen li")).to_have_count(2)
    days = 40 * 24 * 3600
    assert shown(page) == best(python, items, age=[days + 1, days - 1000 + 1], weekday=5)
    assert shown(page) != best(python, items, age=[1000, 0])
    assert [each["at"] for each in stored(page, HISTORY)] == [
        NOW.timestamp() * 1000,
        NOW.timestamp() * 1000 + 1_000_000,
    ]


def test_user_features_are_passed_stored_and_deleted(page, python):
    you = page.get_by_role("group", name="About you")
    you.get_by_role("combobox").select_option("33")
    expect(page.locator("#status")).to_contain_text("The home country is 33")
    assert shown(page) == best(python, [], user_home_country=33)
    you.get_by_role("spinbutton").fill("5000")
    you.get_by_role("spinbutton").press("Enter")
    expect(page.locator("#status")).to_contain_text("The income is 5000")
    assert stored(page, USER) == {"user_home_country": 33, "user_income": 5000}
    page.reload()
    expect(you.get_by_role("spinbutton")).to_have_value("5000")
    assert shown(page) == best(python, [], user_home_country=33, user_income=5000)
    # User features are not part of the history.
    tap(page, 3)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#seen li")).to_have_count(0)
    expect(you.get_by_role("spinbutton")).to_have_value("5000")
    page.get_by_role("button", name="Delete my data").click()
    expect(you.get_by_role("spinbutton")).to_have_value("")
    assert shown(page) == best(python, [])
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
def test_invalid_stored_values_are_unknown(page, python, more):
    entries = [{"item": item, **more} for item in RAW[:2]]
    user = {"user_home_country": "nowhere", "user_income": "much"}
    page.evaluate(
        "kept => kept.forEach(([key, value]) => localStorage.setItem(key, JSON.stringify(value)))",
        [[HISTORY, entries], [USER, user if more else 7]],
    )
    page.reload()
    expect(page.locator("#seen li")).to_have_count(2)
    assert shown(page) == best(python, RAW[:2])
    for stars in page.get_by_role("radio", name="unknown").all():
        expect(stars).to_be_checked()


def test_stars_are_given_by_keyboard(page, python):
    tap(page, 3)
    page.get_by_role("button", name="Remove").focus()
    page.keyboard.press("Tab")
    expect(card(page, 3).get_by_role("radio", name="unknown")).to_be_focused()
    for rating in ("1", "2", "3"):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#status")).to_contain_text(f"The rating is {rating}")
        expect(card(page, 3).get_by_role("radio", name=rating)).to_be_focused()
    assert shown(page) == best(python, [RAW[3]], age=[0], rating=[3])
    page.keyboard.press("Tab")
    expect(card(page, 3).get_by_role("combobox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#status")).to_contain_text("The device is web")


def test_an_exported_history_has_the_features(page, tmp_path):
    tap(page, 3)
    card(page, 3).get_by_role("radio", name="2").check()
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
        "told": {"rating": 2},
    }


def test_a_model_without_features_has_no_controls(browser, models, tmp_path):
    with site(tmp_path / "site", models["untold"]) as place:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        open_page(page, place.url)
        tap(page, 3)
        assert shown(page) == [
            each.item for each in Recommender.load(models["untold"]).recommend([RAW[3]])
        ]
        expect(page.locator("#seen li")).to_have_count(1)
        expect(page.locator(".control")).to_have_count(0)
        for hidden in ("#you", "#told-hint", "#seen .controls"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(page.locator("#facts")).not_to_contain_text("Is told")
        assert stored(page, HISTORY) == [{"item": RAW[3], "without": False}]
        context.close()


def test_models_side_by_side_each_get_their_features(browser, models, python, tmp_path):
    with site(tmp_path / "site", models["untold"], models["told"]) as place:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        page.clock.set_fixed_time(NOW)
        open_page(page, place.url)
        tap(page, 3)
        expect(page.locator(".control")).to_have_count(0)
        page.get_by_role("radio", name="Side by side").click()
        expect(page.locator(".list")).to_have_count(2)
        card(page, 3).get_by_role("radio", name="5").check()
        expect(page.locator("#status")).to_contain_text("The rating is 5")
        untold = Recommender.load(models["untold"])
        assert shown(page, 0) == [each.item for each in untold.recommend([RAW[3]])]
        # Its age is unknown: no model on the page took ages when it was tapped.
        assert shown(page, 1) == best(python, [RAW[3]], rating=[5])
        context.close()


CALLS = """async (calls) => {
  const { Recommender } = await import('./recommender.js');
  const bytes = new Uint8Array(await (await fetch('told.tflite')).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const answers = [];
  for (const [method, ...given] of calls) {
    const said = (error) => `${error.name}: ${error.message}`;
    const answer = await recommender[method](...given).catch(said);
    answers.push(answer instanceof Float32Array ? Array.from(answer) : answer);
  }
  return [answers, recommender.features];
}"""


@pytest.fixture(scope="module")
def call(browser, place):
    """Yield a function that calls recommender methods in the browser; errors return as text."""
    page = browser.new_page()
    page.goto(f"{place.url}models.json")
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
    items = rng.choice([*RAW, "unheard of"], rng.integers(1, 12)).tolist()
    features = {}
    for feature in FEATURES:
        choices = CHOICES[feature.name]
        if rng.random() < 0.3:
            continue
        values = [choices[place] for place in rng.integers(len(choices), size=len(items))]
        features[feature.name] = values if feature.of == "activity" else values[0]
    return [RAW[0], *items], {
        name: [None, *values] if isinstance(values, list) else values
        for name, values in features.items()
    }


def test_raw_values_are_encoded_in_the_browser_as_in_python(call, python):
    rng = np.random.default_rng(0)
    asked = [draw_history(rng) for _ in range(60)]
    contexts = call(*(("encode", items, {"features": features}) for items, features in asked))
    for (items, features), context in zip(asked, contexts, strict=True):
        here = python.encode(items, features=features)
        np.testing.assert_allclose(context, here, rtol=0, atol=1e-5)
    items, features = zip(*asked[:9], strict=True)
    (lists,) = call(("recommendMany", items, 7, {"features": features}))
    for number, found in enumerate(lists):
        here = python.recommend(items[number], 7, features=features[number])
        scores = [each["score"] for each in found]
        np.testing.assert_allclose(scores, [each.score for each in here], rtol=0, atol=1e-5)


def test_a_history_alone_is_one_of_which_all_else_is_unknown(call, python):
    items = [RAW[4], RAW[11], RAW[2]]
    every_way = [
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
    contexts = call(*(("encode", items, options) for options in every_way))
    assert contexts[1:] == contexts[:1] * 3
    np.testing.assert_allclose(contexts[0], python.encode(items), rtol=0, atol=1e-5)
    scores = call(*(("score", items, RAW, options) for options in every_way))
    assert scores[1:] == scores[:1] * 3


def test_an_error_in_a_feature_names_the_remedy(call):
    items = RAW[:2]
    mistakes = {
        "country": (
            ["fr"],
            f'RangeError: the model has no feature "country"; its features: {NAMES}',
        ),
        "history": (
            [1, 2],
            f'RangeError: the model has no feature "history"; its features: {NAMES}',
        ),
        "rating": ([1], 'RangeError: 1 values of "rating" for 2 items; pass one for each'),
        "device": ("web", 'TypeError: the values of "device" are "web" (string), not a list; '),
        "price": (
            [2, "cheap"],
            'TypeError: the value "cheap" (string) of "price" is not a number; pass a number, or ',
        ),
        AGE: (
            ["yesterday", None],
            'TypeError: the value "yesterday" (string) of "age" is not a number; pass a number of ',
        ),
        "user_home_country": (
            ["fr"],
            'TypeError: the value of "user_home_country" is fr (object); pass a single value of ',
        ),
    }
    answers = call(
        *(("encode", items, {"features": {name: given}}) for name, (given, _) in mistakes.items())
    )
    for answer, (_, said) in zip(answers, mistakes.values(), strict=True):
        assert answer.startswith(said)
    (answer,) = call(("recommendMany", [[], items], 5, {"features": [{}, {"rating": [1]}]}))
    assert answer == (
        'RangeError: 1 values of "rating" for 2 items of histories[1]; pass one for each'
    )


def test_it_says_what_it_takes(browser, place, python):
    page = browser.new_page()
    page.goto(f"{place.url}models.json")
    _, features = page.evaluate(CALLS, [])
    page.close()
    found = [(each["name"], each["of"], each["kind"], tuple(each["values"])) for each in features]
    assert found == [(each.name, each.of, each.kind, each.values) for each in python.features]
