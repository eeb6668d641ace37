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
from tests.browser import open_page, recommended_items, site, tap_cards
from tests.bundles import make_bundle, rewrite_bundle, save_bundle
from tests.exports import ENCODERS
from tests.small_models import make_model

NAMES = {"bow": "Bag of words", "cnn": "Convolution", "rnn": "LSTM"}
HISTORIES = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as server:
        yield server


@pytest.fixture
def page(browser, server):
    """Open the page in a new browser context, and fail on JavaScript errors."""
    # Only tests/demo/test_page_offline.py tests the service worker; blocking it here saves time.
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    open_page(page, server.url)
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def recommender(models) -> Recommender:
    return Recommender.load(models["bow"])


def expected_items(recommender: Recommender, items: list) -> list[str]:
    return [str(each.item) for each in recommender.recommend(items, 10)]


def catalogue(models) -> list[dict]:
    return list(bundle.read_bundle(models["bow"]).catalogue)


def test_an_empty_history_shows_recommendations_of_the_model(page, recommender):
    assert recommended_items(page) == expected_items(recommender, [])
    expect(page.locator("#history-list li")).to_have_count(0)
    expect(page.locator("#recommendations-hint")).to_contain_text("Popular items, until you add")


def test_the_catalogue_starts_with_popular_items_and_shows_metadata(page, models):
    first = catalogue(models)[0]
    card = page.locator("#cards .card").first
    expect(card.locator(".title")).to_have_text(first["title"])
    expect(card.locator(".year")).to_have_text(str(first["year"]))
    expect(card.locator(".genres")).to_have_text(" · ".join(first["genres"]))


def test_tapping_a_card_toggles_it_in_the_history(page, models, recommender):
    items = [entry["item"] for entry in catalogue(models)]
    tap_cards(page, 3, 12)
    assert recommended_items(page) == expected_items(recommender, [items[3], items[12]])
    assert page.locator("#cards .card").nth(12).get_attribute("data-position") == "2"
    expect(page.locator("#status")).to_contain_text("Added")
    tap_cards(page, 3)
    assert recommended_items(page) == expected_items(recommender, [items[12]])
    expect(page.locator("#status")).to_contain_text("Removed")


def test_tapping_a_recommendation_adds_it_to_the_history(page, recommender):
    first = recommended_items(page)[0]
    page.locator("#lists button").first.click()
    expect(page.locator("#history-list li")).to_have_count(1)
    assert page.locator("#history-list li").get_attribute("data-key") == first
    assert recommended_items(page) == expected_items(recommender, [int(first)])


def test_the_list_shows_rank_changes_and_removed_items(page):
    tap_cards(page, 5)
    before = recommended_items(page)
    tap_cards(page, 20)
    after = recommended_items(page)
    labels = page.locator(".rank-change").all_inner_texts()
    for rank, (item, label) in enumerate(zip(after, labels, strict=True)):
        gain = before.index(item) - rank if item in before else None
        if gain is None:
            assert "new in the list" in label
        elif gain:
            assert f"{'up' if gain > 0 else 'down'} {abs(gain)}" in label
        else:
            assert not label
    dropped = [item for item in before if item not in after]
    text = page.locator(".dropped-items").inner_text()
    assert text.count(",") == max(len(dropped) - 1, 0)
    assert text.startswith("No longer in the top 10: ") == bool(dropped)


def test_score_bars_are_scaled_between_last_and_first_score(page, recommender):
    scores = [each.score for each in recommender.recommend([], recommender.top_k)]
    bars = page.locator(".bar").evaluate_all(
        "bars => bars.map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    expected = [(score - scores[-1]) / (scores[0] - scores[-1]) for score in scores[:10]]
    assert bars == pytest.approx(expected, abs=1e-4)
    assert [float(text) for text in page.locator(".score").all_inner_texts()] == pytest.approx(
        scores[:10], abs=0.0051
    )


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


def test_search_and_genre_filter_the_catalogue(page, models):
    entries = catalogue(models)
    entry = entries[30]
    page.locator("#search").fill(f"  {entry['title'].upper()} {entry['year']} ")
    titles = page.locator("#cards .title")
    expect(titles.first).to_have_text(entry["title"])
    page.locator("#search").fill("")
    genre = entry["genres"][0]
    page.get_by_role("radio", name=genre, exact=True).click()
    count = sum(genre in each["genres"] for each in entries)
    expect(page.locator("#search-status")).to_contain_text(f"{count} found")
    page.locator("#search").fill("no such film")
    expect(titles).to_have_count(0)
    expect(page.locator("#search-status")).to_contain_text("0 found. Try")


def test_the_more_button_shows_further_items(page, models):
    page.locator("#show-more").click()
    expect(page.locator("#cards li")).to_have_count(96)
    expect(page.locator("#cards .card").nth(48)).to_be_focused()
    page.locator("#show-more").click()
    page.locator("#show-more").click()
    expect(page.locator("#cards li")).to_have_count(len(catalogue(models)))
    expect(page.locator("#show-more")).to_be_hidden()


def test_the_page_describes_its_model(page, models):
    model = bundle.read_bundle(models["bow"]).model
    facts = page.locator("#model-facts").inner_text()
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
    tap_cards(page, 7, 9)
    page.get_by_role("radio", name=NAMES["rnn"]).click()
    expect(page.locator(".list h3")).to_have_text(NAMES["rnn"])
    recommenders = {encoder: Recommender.load(models[encoder]) for encoder in ENCODERS}
    history = [items[7], items[9]]
    assert recommended_items(page) == expected_items(recommenders["rnn"], history)
    expect(page.locator("#model-facts")).to_contain_text("LSTM (rnn)")
    page.get_by_role("radio", name="Side by side").click()
    expect(page.locator(".list")).to_have_count(3)
    for column, encoder in enumerate(ENCODERS):
        expect(page.locator(".list h3").nth(column)).to_have_text(NAMES[encoder])
        assert recommended_items(page, column) == expected_items(recommenders[encoder], history)
    # The hovered item is highlighted in every list.
    row = page.locator(".list").first.locator("li").first
    row.hover()
    key = row.get_attribute("data-key")
    marked = page.locator(".highlighted").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert marked and set(marked) == {key}
    assert len(marked) == sum(key in recommended_items(page, column) for column in range(3))


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


def test_a_catalogue_smaller_than_the_list(browser, tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    small = make_bundle(make_model("bow", size=6), Shapes(1, 3, 3, 4, False), [*"abcdef"])
    errors = []
    with site(tmp_path / "site", save_bundle(small, tmp_path / "small.tflite")) as server:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        open_page(page, server.url)
        tap_cards(page, 0)
        expect(page.locator(".time")).to_have_text(re.compile(r"^\d+ µs$"))
        page.close()
    assert not errors


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


def test_a_model_without_metadata_shows_item_ids(browser, tmp_path, models):
    undescribed = [
        {**entry, "title": None, "genres": None, "year": None} for entry in catalogue(models)
    ]
    rewrite_bundle(models["bow"], tmp_path / "undescribed.tflite", catalogue=undescribed)
    with site(tmp_path / "site", tmp_path / "undescribed.tflite") as server:
        page = browser.new_page()
        open_page(page, server.url)
        expect(page.locator("#cards .title").first).to_have_text(f"Item {undescribed[0]['item']}")
        expect(page.locator("#genres")).to_be_hidden()
        expect(page.locator("#models")).to_be_hidden()
        page.get_by_label("Search by id").fill(str(undescribed[4]["item"]))
        expect(page.locator("#cards .title")).to_have_text([f"Item {undescribed[4]['item']}"])
        page.close()


def test_models_of_the_same_encoder_have_distinct_names(browser, tmp_path, models):
    card = bundle.read_bundle(models["bow"]).model
    same_run, other_run = tmp_path / "same.tflite", tmp_path / "other.tflite"
    rewrite_bundle(models["bow"], same_run, model_json={**card, "recipe": "float64"})
    rewrite_bundle(models["bow"], other_run, model_json={**card, "run": "longer"})

    def names(*paths):
        with site(tmp_path / "site", *paths) as server:
            page = browser.new_context(service_workers="block").new_page()
            open_page(page, server.url)
            found = page.locator("#models label").all_inner_texts()
            page.context.close()
            return found

    assert names(models["bow"], other_run) == ["bow", "longer", "Side by side"]
    assert names(models["bow"], same_run) == [
        *(f"bow, {recipe}" for recipe in (card["recipe"], "float64")),
        "Side by side",
    ]
