"""The catalogue and the recommendations on the page, as the user sees and taps them."""

import re

import pytest
from playwright.sync_api import expect

from jaxrec.conversion.graph.shapes import Shapes
from tests.browser import open_figures, open_page, recommended_items, site, tap_cards
from tests.bundles import make_bundle, save_bundle
from tests.demo import encoders_page
from tests.demo.encoders_page import catalogue, expected_items
from tests.small_models import make_model

page, recommender, server = encoders_page.page, encoders_page.recommender, encoders_page.server


def test_an_empty_history_shows_recommendations_of_the_model(page, recommender):
    assert recommended_items(page) == expected_items(recommender, [])
    expect(page.locator("#history-list li")).to_have_count(0)
    expect(page.locator("#recommendations-hint")).to_contain_text("Popular items, until you add")


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


def test_list_and_history_stay_in_sight_on_wide_screens(page):
    expect(page.locator("#sheet-toggle")).to_be_hidden()
    tap_cards(page, 5)
    for size in ({"width": 1280, "height": 720}, {"width": 800, "height": 1000}):
        page.set_viewport_size(size)
        page.locator("#show-more").scroll_into_view_if_needed()
        assert page.evaluate("scrollY") > 1000
        for title in ("#recommendations-title", "#history-title"):
            # The column scrolls by itself where it is higher than the window.
            page.locator(title).evaluate("title => side.scrollTo(0, title.offsetTop - 20)")
            box = page.locator(title).bounding_box()
            assert box and 0 <= box["y"] <= size["height"] - 40, (size, title)


@pytest.mark.slow
def test_score_bars_are_scaled_between_last_and_first_score(page, recommender):
    open_figures(page)
    scores = [each.score for each in recommender.recommend([], recommender.top_k)]
    bars = page.locator(".bar").evaluate_all(
        "bars => bars.map(bar => Number(bar.style.getPropertyValue('--share')))"
    )
    expected = [(score - scores[-1]) / (scores[0] - scores[-1]) for score in scores[:10]]
    assert bars == pytest.approx(expected, abs=1e-4)
    assert [float(text) for text in page.locator(".score").all_inner_texts()] == pytest.approx(
        scores[:10], abs=0.0051
    )


@pytest.mark.slow
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


def test_the_catalogue_starts_with_popular_items_and_shows_metadata(page, models):
    first = catalogue(models)[0]
    card = page.locator("#cards .card").first
    expect(card.locator(".title")).to_have_text(first["title"])
    expect(card.locator(".year")).to_have_text(str(first["year"]))
    expect(card.locator(".genres")).to_have_text(" · ".join(first["genres"]))


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
