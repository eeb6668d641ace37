"""Accessibility of the page by axe-core, and screenshots for visual inspection.

The screenshots are written to build/screenshots/.
"""

import pytest
from playwright.sync_api import expect

from demo.litert_js import HOME, install_packages
from jaxrec.conversion.graph.shapes import Shapes
from jaxrec.data.gaps import GAP_EDGES
from jaxrec.runtime import bundle
from jaxrec.schema import AGE, Feature
from tests import ROOT
from tests.browser import open_figures, open_page, open_rows, site, tap_cards
from tests.bundles import make_bundle, rewrite_bundle, save_bundle
from tests.small_models import SIZE, make_model

pytestmark = pytest.mark.slow

SCREENSHOTS = ROOT / "build" / "screenshots"
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
APPEARANCES = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("page") / "site"
    with site(folder, models["rnn"], models["cnn"], models["bow"]) as server:
        yield server


@pytest.fixture(scope="module")
def axe() -> str:
    install_packages(tools=True)
    return (HOME / "node_modules" / "axe-core" / "axe.min.js").read_text()


def new_static_context(browser, **settings):
    """Open a context without animations: elements that fade in have low contrast meanwhile."""
    return browser.new_context(reduced_motion="reduce", service_workers="block", **settings)


@pytest.fixture(params=APPEARANCES, ids="-".join)
def page(request, browser, server):
    size, scheme = request.param
    width, height = SIZES[size]
    context = new_static_context(
        browser, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page = context.new_page()
    open_page(page, server.url)
    yield page
    context.close()


def serious_violations(page, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def check_and_screenshot(page, axe: str, name: str) -> None:
    """Check a state of the page, and save a screenshot of it."""
    assert serious_violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def expand_sheet(page) -> None:
    """Expand the sheet of recommendations and history, on phones."""
    if page.locator("#sheet-toggle").is_visible():
        page.locator("#sheet-toggle").click()


def test_every_state_is_accessible(page, request, axe):
    name = request.node.callspec.id
    check_and_screenshot(page, axe, f"first-{name}")

    tap_cards(page, 3, 12, 7, 20)
    expect(page.locator("#history-list li")).to_have_count(4)
    expect(page.locator(".time")).not_to_be_empty()
    check_and_screenshot(page, axe, f"chosen-{name}")

    open_figures(page)
    expand_sheet(page)
    open_rows(page)
    page.get_by_role("button", name="Try without").nth(1).click()
    page.get_by_role("radio", name="Side by side").click()
    expect(page.locator(".list")).to_have_count(3)
    check_and_screenshot(page, axe, f"side-by-side-{name}")


@pytest.mark.parametrize("size", SIZES)
def test_a_page_without_metadata_is_accessible(browser, tmp_path, models, axe, size):
    described = ("title", "genres", "year")
    undescribed = [
        {**entry, **dict.fromkeys(described)}
        for entry in bundle.read_bundle(models["bow"]).catalogue
    ]
    rewrite_bundle(models["bow"], tmp_path / "undescribed.tflite", catalogue=undescribed)
    width, height = SIZES[size]
    with site(tmp_path / "site", tmp_path / "undescribed.tflite") as server:
        context = new_static_context(browser, viewport={"width": width, "height": height})
        page = context.new_page()
        open_page(page, server.url)
        tap_cards(page, 3, 12, 7, 20)
        expect(page.locator("#history-list li")).to_have_count(4)
        check_and_screenshot(page, axe, f"ids-{size}")
        context.close()


FEATURES = (
    Feature("rating", "activity", "id", 5, (1, 2, 3, 4, 5)),
    Feature("device", "activity", "id", 2, ("web", "phone")),
    Feature("price", "activity", "number", 2, (9.5,)),
    Feature(AGE, "activity", "age", len(GAP_EDGES)),
    Feature("user_country", "user", "id", 2, ("fr", "de")),
    Feature("user_income", "user", "number", 2, (1e3,)),
)


@pytest.fixture(scope="module")
def feature_site(tmp_path_factory):
    """Serve the page with a model that has all kinds of features."""
    pytest.importorskip("tensorflow", reason="needs the extra convert")
    raw = [f"item {number}" for number in range(SIZE)]
    folder = tmp_path_factory.mktemp("features")
    model = make_bundle(make_model("rnn", features=FEATURES), Shapes(1, 5, 20, 4, False), raw)
    with site(folder / "site", save_bundle(model, folder / "model.tflite")) as server:
        yield server


@pytest.mark.parametrize("appearance", APPEARANCES, ids="-".join)
def test_feature_inputs_are_accessible(browser, feature_site, axe, appearance):
    size, scheme = appearance
    width, height = SIZES[size]
    context = new_static_context(
        browser, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page = context.new_page()
    open_page(page, feature_site.url)
    tap_cards(page, 3, 12, 7)
    expect(page.locator("#history-list li")).to_have_count(3)
    expand_sheet(page)
    open_rows(page)
    page.locator("#history-list").get_by_role("radio", name="4").first.check()
    expect(page.locator("#status")).to_contain_text("The rating is 4")
    check_and_screenshot(page, axe, f"features-{size}-{scheme}")
    context.close()


def test_the_accessibility_check_detects_a_violation(browser, server, axe):
    page = new_static_context(browser).new_page()
    open_page(page, server.url)
    assert serious_violations(page, axe) == []
    page.evaluate("document.getElementById('search').removeAttribute('placeholder')")
    page.evaluate("document.querySelector('label[for=search]').remove()")
    assert any("label" in finding for finding in serious_violations(page, axe))
    page.close()
