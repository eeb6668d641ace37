"""User interaction with the demo page, in a real browser, with three trained models."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.runs.directory import HELDOUT
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from jaxrec.schema import ITEM
from tests.browser import open_page, shown, site, tap
from tests.bundles import make_bundle, rewrite_bundle, save_bundle
from tests.exports import ENCODERS
from tests.small_models import make_model

NAMES = {"bow": "Bag of words", "cnn": "Convolution", "rnn": "LSTM"}
HISTORIES = 200


@pytest.fixture(scope="module")
def place(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as place:
        yield place


@pytest.fixture
def page(browser, place):
    """Open the page in a new browser context, and fail on JavaScript errors."""
    # Only tests/demo/test_page_offline.py tests the service worker; blocking it here saves time.
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    open_page(page, place.url)
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def python(models) -> Recommender:
    return Recommender.load(models["bow"])


def expected_items(recommender: Recommender, items: list) -> list[str]:
    return [str(each.item) for each in recommender.recommend(items, 10)]


def catalogue(models) -> list[dict]:
    return list(bundle.read_bundle(models["bow"]).catalogue)


def test_an_empty_history_shows_recommendations_of_the_model(page, python):
    assert shown(page) == expected_items(python, [])
    expect(page.locator("#seen li")).to_have_count(0)
    expect(page.locator("#for-you-hint")).to_contain_text("until you choose")


def test_the_catalogue_starts_with_popular_items_and_shows_metadata(page, models):
    first = catalogue(models)[0]
    card = page.locator("#cards .card").first
    expect(card.locator(".title")).to_have_text(first["title"])
    expect(card.locator(".year")).to_have_text(str(first["year"]))
    expect(card.locator(".genres")).to_have_text(" · ".join(first["genres"]))


def test_tapping_a_card_toggles_it_in_the_history(page, models, python):
    items = [entry["item"] for entry in catalogue(models)]
    tap(page, 3, 12)
    assert shown(page) == expected_items(python, [items[3], items[12]])
    assert page.locator("#cards .card").nth(12).get_attribute("data-place") == "2"
    expect(page.locator("#status")).to_contain_text("Added")
    tap(page, 3)
    assert shown(page) == expected_items(python, [items[12]])
    expect(page.locator("#status")).to_contain_text("Removed")


def test_tapping_a_recommendation_adds_it_to_the_history(page, python):
    first = shown(page)[0]
    page.locator("#lists button").first.click()
    expect(page.locator("#seen li")).to_have_count(1)
    assert page.locator("#seen li").get_attribute("data-key") == first
    assert shown(page) == expected_items(python, [int(first)])


def test_the_list_shows_rank_changes_and_removed_items(page):
    tap(page, 5)
    before = shown(page)
    tap(page, 20)
    after = shown(page)
    for place, (item, said) in enumerate(
        zip(after, page.locator(".moved").all_inner_texts(), strict=True)
    ):
        risen = before.index(item) - place if item in before else None
        if risen is None:
            assert "new in the list" in said
        elif risen:
            assert f"{'up' if risen > 0 else 'down'} {abs(risen)}" in said
        else:
            assert not said
    left = [item for item in before if item not in after]
    text = page.locator(".left").inner_text()
    assert text.count(",") == max(len(left) - 1, 0)
    assert text.startswith("Left the ten: ") == bool(left)


def test_score_bars_are_scaled_between_last_and_first_score(page, python):
    scores = [each.score for each in python.recommend([], python.top_k)]
    bars = page.locator(".bar").evaluate_all(
        "bars => bars.map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    expected = [(score - scores[-1]) / (scores[0] - scores[-1]) for score in scores[:10]]
    assert bars == pytest.approx(expected, abs=1e-4)
    assert [float(text) for text in page.locator(".score").all_inner_texts()] == pytest.approx(
        scores[:10], abs=0.0051
    )


def test_the_history_can_be_reordered_edited_and_cleared(page, models, python):
    items = [entry["item"] for entry in catalogue(models)]
    tap(page, 0, 1, 2)
    rows = page.locator("#seen li")
    rows.last.get_by_role("button", name="more recent").click()
    assert [row.get_attribute("data-key") for row in rows.all()] == [
        str(items[place]) for place in (2, 0, 1)
    ]

    what_if = rows.first.get_by_role("button", name="What if not?")
    what_if.click()
    expect(what_if).to_have_attribute("aria-pressed", "true")
    assert shown(page) == expected_items(python, [items[1], items[0]])
    expect(page.locator("#for-you-hint")).to_contain_text("As if you had not seen")
    what_if.click()
    expect(what_if).to_have_attribute("aria-pressed", "false")

    rows.first.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(0)
    assert shown(page) == expected_items(python, [])


def test_items_beyond_the_history_length_are_marked_unread(page):
    tap(page, *range(12))
    expect(page.locator("#seen .unread")).to_have_count(2)
    expect(page.locator("#history-hint")).to_contain_text("The model reads the last 10")


def test_search_and_genre_filter_the_catalogue(page, models):
    described = catalogue(models)
    entry = described[30]
    page.locator("#search").fill(f"  {entry['title'].upper()} {entry['year']} ")
    titles = page.locator("#cards .title")
    expect(titles.first).to_have_text(entry["title"])
    page.locator("#search").fill("")
    genre = entry["genres"][0]
    page.get_by_role("radio", name=genre, exact=True).click()
    count = sum(genre in each["genres"] for each in described)
    expect(page.locator("#found")).to_contain_text(f"{count} found")
    page.locator("#search").fill("no such film")
    expect(titles).to_have_count(0)
    expect(page.locator("#found")).to_contain_text("0 found; try")


def test_the_more_button_shows_further_items(page, models):
    page.locator("#more").click()
    expect(page.locator("#cards li")).to_have_count(96)
    expect(page.locator("#cards .card").nth(48)).to_be_focused()
    page.locator("#more").click()
    page.locator("#more").click()
    expect(page.locator("#cards li")).to_have_count(len(catalogue(models)))
    expect(page.locator("#more")).to_be_hidden()


def test_the_page_describes_its_model(page, models):
    model = bundle.read_bundle(models["bow"]).model
    facts = page.locator("#facts").inner_text()
    assert "Bag of words (bow)" in facts
    assert f"the last {model['history_length']} items" in facts
    assert f"{round(models['bow'].stat().st_size / 1000)} KB" in facts
    assert f"{model['evaluation']['recall@10 through the file']:.4f}" in facts
    protocol = page.locator("#protocol").inner_text()
    assert "synthetic, leave-one-out" in protocol
    assert f"{model['evaluation']['protocol']['test_users']} test users" in protocol
    expect(page.locator(".time")).to_have_text(re.compile(r"^\d+ µs$"))


def test_lists_for_held_out_histories_match_the_runtime(page, runs, models):
    """Set histories by storage events, as another tab does, which is faster than tapping."""
    items = bundle.read_bundle(models["bow"]).items
    rows = load_heldout(runs["bow"] / HELDOUT).history[ITEM][:HISTORIES]
    histories = [[items[number - 1] for number in row if number] for row in rows]
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("radio", name="Side by side").click()
    expect(page.locator(".list")).to_have_count(3)
    found = page.evaluate(
        """async (histories) => {
          const key = "jaxrec history synthetic";
          const keys = (list) => Array.from(list.querySelectorAll("li"), (row) => row.dataset.key);
          const painted = () => new Promise((resolve) => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = resolve;
            port2.postMessage(null);
          });
          const found = [];
          for (const history of histories) {
            localStorage.setItem(key, JSON.stringify(history.map((item) => ({ item }))));
            dispatchEvent(new StorageEvent("storage", { key }));
            await painted();
            found.push(Array.from(document.querySelectorAll(".list"), keys));
          }
          return found;
        }""",
        histories,
    )
    for column, encoder in enumerate(ENCODERS):
        recommender = Recommender.load(models[encoder])
        for history, lists in zip(histories, found, strict=True):
            assert lists[column] == expected_items(recommender, history), (encoder, history)


def test_models_are_switched_and_compared_for_one_history(page, models):
    items = [entry["item"] for entry in catalogue(models)]
    tap(page, 7, 9)
    page.get_by_role("radio", name=NAMES["rnn"]).click()
    expect(page.locator(".list h3")).to_have_text(NAMES["rnn"])
    recommenders = {encoder: Recommender.load(models[encoder]) for encoder in ENCODERS}
    history = [items[7], items[9]]
    assert shown(page) == expected_items(recommenders["rnn"], history)
    expect(page.locator("#facts")).to_contain_text("LSTM (rnn)")
    page.get_by_role("radio", name="Side by side").click()
    expect(page.locator(".list")).to_have_count(3)
    for column, encoder in enumerate(ENCODERS):
        expect(page.locator(".list h3").nth(column)).to_have_text(NAMES[encoder])
        assert shown(page, column) == expected_items(recommenders[encoder], history)
    # The hovered item is highlighted in every list.
    row = page.locator(".list").first.locator("li").first
    row.hover()
    key = row.get_attribute("data-key")
    marked = page.locator(".same").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert marked and set(marked) == {key}
    assert len(marked) == sum(key in shown(page, column) for column in range(3))


def test_the_history_survives_a_reload_until_it_is_deleted(page):
    tap(page, 4, 8)
    rows = page.locator("#seen li")
    rows.first.get_by_role("button", name="What if not?").click()
    expect(page.locator("#seen .without")).to_have_count(1)
    before = shown(page)
    page.reload()
    expect(rows).to_have_count(2)
    expect(page.locator("#seen .without")).to_have_count(1)
    assert shown(page) == before
    page.get_by_role("button", name="Delete my data").click()
    expect(rows).to_have_count(0)
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(rows).to_have_count(0)


def test_another_tab_is_synchronized(page, place):
    other = page.context.new_page()
    open_page(other, place.url)
    tap(page, 2)
    expect(other.locator("#seen li")).to_have_count(1)
    assert shown(other) == shown(page)


def test_the_history_is_exported_as_a_file(page, models, tmp_path):
    first = catalogue(models)[6]
    tap(page, 6)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "history.json"
    download.value.save_as(tmp_path / "history.json")
    assert json.loads(Path(tmp_path / "history.json").read_text()) == [
        {"item": first["item"], "title": first["title"], "year": first["year"]}
    ]


@pytest.mark.parametrize("kept", ["{", "7", '"x"', '{"item": 1}', '[{"item": null}, {}]', "[null]"])
def test_an_unreadable_stored_history_is_ignored(page, kept):
    page.evaluate("kept => localStorage.setItem('jaxrec history synthetic', kept)", kept)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(page.locator("#seen li")).to_have_count(0)


def open_with_history(page, items) -> None:
    """Reload the page with these items stored as the history."""
    page.evaluate(
        "kept => localStorage.setItem('jaxrec history synthetic', JSON.stringify(kept))",
        [{"item": item} for item in items],
    )
    page.reload()


def test_unknown_items_stay_in_the_history_and_are_ignored(page, python, models):
    item = catalogue(models)[0]["item"]
    open_with_history(page, [10**9, item])
    expect(page.locator("#seen li")).to_have_count(2)
    expect(page.locator("#seen li").last).to_contain_text("unknown to this model")
    assert shown(page) == expected_items(python, [item])


def test_a_history_of_unknown_items_gives_popular_items(page, python):
    open_with_history(page, [10**9, "heard of elsewhere"])
    expect(page.locator("#seen .unread")).to_have_count(2)
    expect(page.locator("#lists li")).to_have_count(10)
    assert shown(page) == expected_items(python, [])
    expect(page.locator(".time")).not_to_be_empty()


def test_a_history_of_all_items_leaves_no_recommendations(page, models):
    items = [entry["item"] for entry in catalogue(models)]
    open_with_history(page, items[1:])
    expect(page.locator("#lists li")).to_have_count(1)
    assert shown(page) == [str(items[0])]
    tap(page, 0)
    expect(page.locator("#lists li")).to_have_count(0)
    expect(page.locator("#peek")).to_contain_text("nothing is left")


def test_a_catalogue_smaller_than_the_list(browser, tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    small = make_bundle(make_model("bow", size=6), Shapes(1, 3, 3, 4, False), [*"abcdef"])
    errors = []
    with site(tmp_path / "site", save_bundle(small, tmp_path / "small.tflite")) as place:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        open_page(page, place.url)
        tap(page, 0)
        expect(page.locator(".time")).to_have_text(re.compile(r"^\d+ µs$"))
        page.close()
    assert not errors


def test_the_page_is_usable_by_keyboard(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the recommendations")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#for-you")).to_be_focused()
    while page.evaluate("!document.activeElement.closest('#lists')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#seen li")).to_have_count(1)
    # The item has left the list; the focus moves to the item that replaces it.
    expect(page.locator("#lists button").first).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#seen li")).to_have_count(3)

    oldest = page.locator("#seen li").last
    oldest.get_by_role("button", name="more recent").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    newest = page.locator("#seen li").first
    expect(newest.get_by_role("button", name="What if not?")).to_be_focused()
    newest.get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#seen li")).to_have_count(2)
    expect(page.locator("#seen li").first.get_by_role("button", name="Remove")).to_be_focused()


def test_a_model_without_metadata_shows_item_ids(browser, tmp_path, models):
    bare = [{**entry, "title": None, "genres": None, "year": None} for entry in catalogue(models)]
    rewrite_bundle(models["bow"], tmp_path / "bare.tflite", catalogue=bare)
    with site(tmp_path / "site", tmp_path / "bare.tflite") as place:
        page = browser.new_page()
        open_page(page, place.url)
        expect(page.locator("#cards .title").first).to_have_text(f"Item {bare[0]['item']}")
        expect(page.locator("#genres")).to_be_hidden()
        expect(page.locator("#models")).to_be_hidden()
        page.get_by_label("Search by id").fill(str(bare[4]["item"]))
        expect(page.locator("#cards .title")).to_have_text([f"Item {bare[4]['item']}"])
        page.close()


def test_models_of_the_same_encoder_have_distinct_names(browser, tmp_path, models):
    whole = bundle.read_bundle(models["bow"]).model
    twin, other = tmp_path / "twin.tflite", tmp_path / "other.tflite"
    rewrite_bundle(models["bow"], twin, model_json={**whole, "recipe": "float64"})
    rewrite_bundle(models["bow"], other, model_json={**whole, "run": "longer"})

    def names(*paths):
        with site(tmp_path / "site", *paths) as place:
            page = browser.new_context(service_workers="block").new_page()
            open_page(page, place.url)
            found = page.locator("#models label").all_inner_texts()
            page.context.close()
            return found

    assert names(models["bow"], other) == ["bow", "longer", "Side by side"]
    assert names(models["bow"], twin) == [
        *(f"bow, {recipe}" for recipe in (whole["recipe"], "float64")),
        "Side by side",
    ]
