"""What a person does with the page, in a real browser, on three trained models."""

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
from tests.bundles import made, rewritten, saved
from tests.exports import ENCODERS
from tests.test_models import make

NAMES = {"bow": "Bag of words", "cnn": "Convolution", "rnn": "LSTM"}
HISTORIES = 200


@pytest.fixture(scope="module")
def place(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, *(models[encoder] for encoder in ENCODERS)) as place:
        yield place


@pytest.fixture
def page(browser, place):
    """Open the page as somebody who was never there; nothing in it may fail."""
    # tests/test_page_offline.py is about the service worker; the others need not wait for it.
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


def best(recommender: Recommender, items: list) -> list[str]:
    return [str(each.item) for each in recommender.recommend(items, 10)]


def catalogue(models) -> list[dict]:
    return list(bundle.read_bundle(models["bow"]).catalogue)


def test_somebody_who_has_chosen_nothing_sees_what_the_model_gives_to_nothing(page, python):
    assert shown(page) == best(python, [])
    expect(page.locator("#seen li")).to_have_count(0)
    expect(page.locator("#for-you-hint")).to_contain_text("until you choose")


def test_the_catalogue_starts_with_the_popular_and_shows_what_is_known(page, models):
    first = catalogue(models)[0]
    card = page.locator("#cards .card").first
    expect(card.locator(".title")).to_have_text(first["title"])
    expect(card.locator(".year")).to_have_text(str(first["year"]))
    expect(card.locator(".genres")).to_have_text(" · ".join(first["genres"]))


def test_a_tap_adds_and_a_second_removes(page, models, python):
    items = [entry["item"] for entry in catalogue(models)]
    tap(page, 3, 12)
    assert shown(page) == best(python, [items[3], items[12]])
    assert page.locator("#cards .card").nth(12).get_attribute("data-place") == "2"
    expect(page.locator("#status")).to_contain_text("Added")
    tap(page, 3)
    assert shown(page) == best(python, [items[12]])
    expect(page.locator("#status")).to_contain_text("Removed")


def test_a_recommendation_that_was_seen_is_tapped_into_the_history(page, python):
    first = shown(page)[0]
    page.locator("#lists button").first.click()
    expect(page.locator("#seen li")).to_have_count(1)
    assert page.locator("#seen li").get_attribute("data-key") == first
    assert shown(page) == best(python, [int(first)])


def test_the_list_says_what_moved_and_what_left(page):
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


def test_scores_are_bars_between_the_last_and_the_first_of_the_list(page, python):
    scores = [each.score for each in python.recommend([], python.top_k)]
    bars = page.locator(".bar").evaluate_all(
        "bars => bars.map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    expected = [(score - scores[-1]) / (scores[0] - scores[-1]) for score in scores[:10]]
    assert bars == pytest.approx(expected, abs=1e-4)
    assert [float(text) for text in page.locator(".score").all_inner_texts()] == pytest.approx(
        scores[:10], abs=0.0051
    )


def test_the_history_is_reordered_tried_out_and_cleared(page, models, python):
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
    assert shown(page) == best(python, [items[1], items[0]])
    expect(page.locator("#for-you-hint")).to_contain_text("As if you had not seen")
    what_if.click()
    expect(what_if).to_have_attribute("aria-pressed", "false")

    rows.first.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(0)
    assert shown(page) == best(python, [])


def test_what_is_older_than_the_model_reads_is_pale(page):
    tap(page, *range(12))
    expect(page.locator("#seen .unread")).to_have_count(2)
    expect(page.locator("#history-hint")).to_contain_text("The model reads the last 10")


def test_search_and_genre_find(page, models):
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


def test_more_is_shown_on_demand(page, models):
    page.locator("#more").click()
    expect(page.locator("#cards li")).to_have_count(96)
    expect(page.locator("#cards .card").nth(48)).to_be_focused()
    page.locator("#more").click()
    page.locator("#more").click()
    expect(page.locator("#cards li")).to_have_count(len(catalogue(models)))
    expect(page.locator("#more")).to_be_hidden()


def test_it_says_what_it_runs(page, models):
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


def test_every_list_of_a_few_hundred_histories_is_the_one_of_the_runtime(page, runs, models):
    """Another tab's change is read like one's own: so histories come in fast."""
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
            assert lists[column] == best(recommender, history), (encoder, history)


def test_models_are_switched_and_compared_on_one_history(page, models):
    items = [entry["item"] for entry in catalogue(models)]
    tap(page, 7, 9)
    page.get_by_role("radio", name=NAMES["rnn"]).click()
    expect(page.locator(".list h3")).to_have_text(NAMES["rnn"])
    recommenders = {encoder: Recommender.load(models[encoder]) for encoder in ENCODERS}
    history = [items[7], items[9]]
    assert shown(page) == best(recommenders["rnn"], history)
    expect(page.locator("#facts")).to_contain_text("LSTM (rnn)")
    page.get_by_role("radio", name="Side by side").click()
    expect(page.locator(".list")).to_have_count(3)
    for column, encoder in enumerate(ENCODERS):
        expect(page.locator(".list h3").nth(column)).to_have_text(NAMES[encoder])
        assert shown(page, column) == best(recommenders[encoder], history)
    # What is pointed at is marked in every list.
    row = page.locator(".list").first.locator("li").first
    row.hover()
    key = row.get_attribute("data-key")
    marked = page.locator(".same").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert marked and set(marked) == {key}
    assert len(marked) == sum(key in shown(page, column) for column in range(3))


def test_a_reload_keeps_the_history_and_deleting_deletes_it(page):
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


def test_another_tab_follows(page, place):
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
def test_what_was_kept_and_cannot_be_read_is_nothing(page, kept):
    page.evaluate("kept => localStorage.setItem('jaxrec history synthetic', kept)", kept)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(page.locator("#seen li")).to_have_count(0)


def keep(page, items) -> None:
    """Open the page as somebody whose browser has kept these."""
    page.evaluate(
        "kept => localStorage.setItem('jaxrec history synthetic', JSON.stringify(kept))",
        [{"item": item} for item in items],
    )
    page.reload()


def test_an_item_of_the_history_that_a_new_model_does_not_know_stays_and_is_passed_over(
    page, python, models
):
    item = catalogue(models)[0]["item"]
    keep(page, [10**9, item])
    expect(page.locator("#seen li")).to_have_count(2)
    expect(page.locator("#seen li").last).to_contain_text("unknown to this model")
    assert shown(page) == best(python, [item])


def test_a_history_of_which_nothing_is_known_any_more_gives_the_popular_items(page, python):
    keep(page, [10**9, "heard of elsewhere"])
    expect(page.locator("#seen .unread")).to_have_count(2)
    expect(page.locator("#lists li")).to_have_count(10)
    assert shown(page) == best(python, [])
    expect(page.locator(".time")).not_to_be_empty()


def test_somebody_who_has_seen_it_all(page, models):
    items = [entry["item"] for entry in catalogue(models)]
    keep(page, items[1:])
    expect(page.locator("#lists li")).to_have_count(1)
    assert shown(page) == [str(items[0])]
    tap(page, 0)
    expect(page.locator("#lists li")).to_have_count(0)
    expect(page.locator("#peek")).to_contain_text("nothing is left")


def test_a_catalogue_of_fewer_items_than_a_list_shows(browser, tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    small = made(make("bow", size=6), Shapes(1, 3, 3, 4, False), [*"abcdef"])
    errors = []
    with site(tmp_path / "site", saved(small, tmp_path / "small.tflite")) as place:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(error))
        open_page(page, place.url)
        tap(page, 0)
        expect(page.locator(".time")).to_have_text(re.compile(r"^\d+ µs$"))
        page.close()
    assert not errors


def test_everything_can_be_done_by_keyboard(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the recommendations")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#for-you")).to_be_focused()
    while page.evaluate("!document.activeElement.closest('#lists')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#seen li")).to_have_count(1)
    # The item has left the list; the focus is on the one in its place.
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


def test_a_model_without_titles_and_genres_is_shown_by_its_items(browser, tmp_path, models):
    bare = [{**entry, "title": None, "genres": None, "year": None} for entry in catalogue(models)]
    rewritten(models["bow"], tmp_path / "bare.tflite", catalogue=bare)
    with site(tmp_path / "site", tmp_path / "bare.tflite") as place:
        page = browser.new_page()
        open_page(page, place.url)
        expect(page.locator("#cards .title").first).to_have_text(f"Item {bare[0]['item']}")
        expect(page.locator("#genres")).to_be_hidden()
        expect(page.locator("#models")).to_be_hidden()
        page.get_by_label("Search by id").fill(str(bare[4]["item"]))
        expect(page.locator("#cards .title")).to_have_text([f"Item {bare[4]['item']}"])
        page.close()


def test_models_of_one_encoder_are_told_apart(browser, tmp_path, models):
    whole = bundle.read_bundle(models["bow"]).model
    twin, other = tmp_path / "twin.tflite", tmp_path / "other.tflite"
    rewritten(models["bow"], twin, model_json={**whole, "recipe": "float64"})
    rewritten(models["bow"], other, model_json={**whole, "run": "longer"})

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
