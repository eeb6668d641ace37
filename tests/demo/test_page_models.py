"""The models on the page: described, named, switched, and compared side by side."""

import re

import pytest
from playwright.sync_api import expect

from jaxrec.runs.directory import HELDOUT
from jaxrec.runs.heldout import load_heldout
from jaxrec.runtime import bundle
from jaxrec.runtime.recommender import Recommender
from jaxrec.schema import ITEM
from tests.browser import open_figures, open_page, recommended_items, site, tap_cards
from tests.bundles import rewrite_bundle
from tests.demo import encoders_page
from tests.demo.encoders_page import catalogue, expected_items
from tests.exports import ENCODERS

# Pages in a browser; tests/demo/test_page_recommender.py is the quick test of them.
pytestmark = pytest.mark.slow

page, server = encoders_page.page, encoders_page.server

NAMES = {"bow": "Bag of words", "cnn": "Convolution", "rnn": "LSTM"}
HISTORIES = 200


def test_the_page_describes_its_model(page, models):
    model = bundle.read_bundle(models["bow"]).model
    open_figures(page)
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
    # Items of several lists are tinted, and described so to screen readers.
    lists = [recommended_items(page, column) for column in range(3)]
    shared = {key for keys in lists for key in keys if sum(key in each for each in lists) > 1}
    tinted = page.locator("#lists .shared")
    assert set(tinted.evaluate_all("rows => rows.map(row => row.dataset.key)")) == shared != set()
    assert tinted.count() == sum(key in shared for keys in lists for key in keys)
    expect(tinted.first).to_contain_text("in more than one list")
    expect(page.locator("#shared-legend")).to_have_text(
        f"Tinted: {len(shared)} items that are in more than one list."
    )
    # The hovered item is highlighted in every list.
    row = page.locator(".list").first.locator("li").first
    row.hover()
    key = row.get_attribute("data-key")
    marked = page.locator(".highlighted").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert marked and set(marked) == {key}
    assert len(marked) == sum(key in keys for keys in lists)
    expect(page.locator("#model-facts h3")).to_have_text([NAMES[encoder] for encoder in ENCODERS])
    page.get_by_role("radio", name=NAMES["cnn"]).click()
    expect(page.locator(".list")).to_have_count(1)
    expect(page.locator("#lists .shared")).to_have_count(0)
    expect(page.locator("#shared-legend")).to_be_hidden()


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
