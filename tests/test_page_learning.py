"""Adaptation on the page: it runs in a worker, stays in the browser, and can be deleted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from jaxrec.runtime import Adapter, Recommender, bundle
from tests.browser import open_page, shown, site, tap
from tests.bundles import rewritten
from tests.exports import convert

LEAST = 7


def learning_model(runs, folder: Path, *flags: str) -> Path:
    flags = ("--adapt", "--activities=30", f"--held-back={LEAST - 2}", "--decay=0.5", *flags)
    process = convert(f"--run-dir={runs['bow']}", f"--export-dir={folder}", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return folder / "model.tflite"


@pytest.fixture(scope="module")
def model(runs, tmp_path_factory) -> Path:
    return learning_model(runs, tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def place(model, tmp_path_factory):
    with site(tmp_path_factory.mktemp("page") / "site", model) as place:
        yield place


@pytest.fixture(scope="module")
def python(model) -> Recommender:
    return Recommender.load(model)


@pytest.fixture
def page(browser, place):
    context = browser.new_context(service_workers="block", accept_downloads=True)
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: asked.append(request))
    open_page(page, place.url)
    yield page
    context.close()
    assert not errors
    # No data leaves the browser: all requests are for the files of the page.
    assert all(request.url.startswith(place.url) for request in asked)
    assert all(request.method == "GET" and "?" not in request.url for request in asked)


def open_new_page(browser, place) -> Page:
    """Open the page in a new browser context, without stored data."""
    page = browser.new_context(service_workers="block").new_page()
    open_page(page, place.url)
    return page


def set_history(page: Page, python: Recommender, places: list[int]) -> None:
    """Fill the history by a storage event, as another tab does: taps take a second each."""
    page.evaluate(
        """(entries) => {
          const key = "jaxrec history synthetic";
          localStorage.setItem(key, JSON.stringify(entries));
          dispatchEvent(new StorageEvent("storage", { key }));
        }""",
        [{"item": python.items[place], "without": False} for place in places],
    )
    expect(page.locator("#seen li")).to_have_count(len(places))


def hold_model_requests(page: Page) -> list:
    """Hold back the requests for models; return the list of held routes, to be continued."""
    held = []
    page.route("**/models/*", lambda route: held.append(route))
    return held


def stored_adapters(page: Page) -> dict:
    key = "Object.keys(localStorage).find((key) => key.startsWith('jaxrec learned'))"
    return json.loads(page.evaluate(f"localStorage.getItem({key}) ?? '{{}}'")).get("adapters", {})


def places_with_kept_adapter(python: Recommender) -> list[int]:
    """Find catalogue positions whose items give an adapter that is kept."""
    for start in range(20):
        places = list(range(start, start + 24, 2))
        if python.adapt([python.items[place] for place in places]).is_kept:
            return places
    raise AssertionError("nothing can be learned of anybody")


def places_with_dropped_adapter(python: Recommender) -> list[int]:
    """Find catalogue positions whose last items the earlier ones do not help to predict."""
    for start in range(30):
        places = [*range(start, start + 12), *range(115, 115 + LEAST - 2)]
        if not python.adapt([python.items[place] for place in places]).is_kept:
            return places
    raise AssertionError("everything helps")


def test_a_user_learns_an_adapter_and_forgets_it(page, python):
    expect(page.locator("#learn")).to_be_disabled()
    expect(page.locator("#learned")).to_contain_text(f"takes {LEAST} items or more; you have 0")
    places = places_with_kept_adapter(python)
    tap(page, *places)
    history = [python.items[place] for place in places]
    before = shown(page)
    page.locator("#learn").click()
    expect(page.locator("#learned")).to_contain_text("Learned and kept")
    expect(page.locator("#status")).to_contain_text("Learned from your history")
    # The worker learns the same adapter as the same file in Python.
    (kept,) = stored_adapters(page).values()
    adapter, wanted = Adapter.from_json(json.dumps(kept)), python.adapt(history)
    np.testing.assert_allclose(adapter.vector, wanted.vector, atol=2e-3)
    assert (adapter.before, adapter.after) == pytest.approx((wanted.before, wanted.after), abs=1e-4)
    now = [str(each.item) for each in python.recommend(history, adapter=adapter)]
    assert shown(page) == now
    assert now != before

    # The adapter is restored after a reload, and can be exported.
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect(page.locator("#learned")).to_contain_text("Learned and kept")
    assert shown(page) == now
    with page.expect_download() as download:
        page.locator("#export-learned").click()
    exported = json.loads(Path(download.value.path()).read_text())
    assert list(exported.values()) == [kept]

    page.locator("#forget").click()
    expect(page.locator("#learned")).to_contain_text("can learn from up to 30")
    expect(page.locator("#forget")).to_be_hidden()
    assert shown(page) == before
    assert stored_adapters(page) == {}


def test_an_adapter_that_does_not_help_is_dropped(page, python):
    """The last items of this user are unlike all items before them."""
    items, places = list(python.items), places_with_dropped_adapter(python)
    history = [{"item": items[place], "without": False} for place in places]
    key = page.evaluate("'jaxrec history ' + 'synthetic'")
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, json.dumps(history)])
    page.reload()
    expect(page.locator("#seen li")).to_have_count(len(places))
    before = shown(page)
    page.locator("#learn").click()
    expect(page.locator("#learned")).to_contain_text("Learned and dropped")
    assert shown(page) == before


def test_delete_my_data_deletes_the_adapter(page, python):
    set_history(page, python, places_with_kept_adapter(python))
    page.locator("#learn").click()
    expect(page.locator("#forget")).to_be_visible()
    page.locator("#delete").click()
    expect(page.locator("#forget")).to_be_hidden()
    assert stored_adapters(page) == {}


def test_a_newer_model_learns_the_adapter_again(browser, runs, model, python, tmp_path):
    (tmp_path / "newer").mkdir()
    newer = learning_model(runs, tmp_path / "newer", "--top-k=50")
    with site(tmp_path / "site", model) as place:
        page = open_new_page(browser, place)
        set_history(page, python, places_with_kept_adapter(python))
        page.locator("#learn").click()
        expect(page.locator("#learned")).to_contain_text("Learned and kept")
        (old,) = stored_adapters(page).values()
        place.publish(newer)
        page.reload()
        expect(page.locator("#status")).to_contain_text("is a newer one, and has learned again")
        expect(page.locator("#learned")).to_contain_text("Learned and kept")
        (new,) = stored_adapters(page).values()
        assert new["model"] == Recommender.load(newer).model["graph"]["sha256"] != old["model"]
        page.context.close()


def test_taps_are_answered_while_the_worker_learns(browser, model, python, tmp_path):
    """The worker is held up while the user taps: the page does not wait for it."""
    with site(tmp_path / "site", model) as place:
        page = open_new_page(browser, place)
        set_history(page, python, places_with_kept_adapter(python))
        held = hold_model_requests(page)
        page.locator("#learn").click()
        expect(page.locator("#learned")).to_contain_text("Learning from your history")
        before = shown(page)
        tap(page, 40)
        assert shown(page) != before
        assert page.locator("#learn").is_disabled()
        expect(page.locator("#learned")).to_contain_text("Learning from your history")
        while not held:
            page.wait_for_timeout(20)
        for route in held:
            route.continue_()
        expect(page.locator("#learned")).to_contain_text("Learned and kept")
        page.context.close()


def learn(page: Page) -> None:
    page.locator("#learn").click()
    expect(page.locator("#learned")).to_contain_text("Learned and kept")


def learn_with_blocked_worker(page: Page) -> Callable[[], None]:
    """Start to learn with a blocked worker; return a function that lets it finish and waits."""
    held = hold_model_requests(page)
    page.locator("#learn").click()
    while not held:
        page.wait_for_timeout(20)

    def finish() -> None:
        workers = page.workers
        for route in held:
            route.continue_()
        while any(worker in page.workers for worker in workers):
            page.wait_for_timeout(20)
        page.unroute_all()

    return finish


def expect_nothing_learned(page: Page, python: Recommender, history: list) -> None:
    expect(page.locator("#forget")).to_be_hidden()
    expect(page.locator("#learned")).not_to_contain_text("Learning from")
    assert shown(page) == [str(each.item) for each in python.recommend(history)]
    assert stored_adapters(page) == {}


@pytest.mark.parametrize("button", ["Delete my data", "Clear", "Forget"])
@pytest.mark.parametrize("tab", ["this", "another"])
def test_a_deletion_while_the_worker_learns_drops_the_adapter(browser, place, python, button, tab):
    page, places = open_new_page(browser, place), places_with_kept_adapter(python)
    set_history(page, python, places)
    learn(page)
    deleting = page
    if tab == "another":
        deleting = page.context.new_page()
        open_page(deleting, place.url)
    finish = learn_with_blocked_worker(page)
    deleting.get_by_role("button", name=button, exact=True).click()
    history = [python.items[each] for each in places] if button == "Forget" else []
    expect(page.locator("#seen li")).to_have_count(len(history))
    finish()
    for each in {page, deleting}:
        expect_nothing_learned(each, python, history)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect_nothing_learned(page, python, history)
    page.context.close()


def test_adapters_are_synchronized_between_tabs(browser, place, python):
    page, places = open_new_page(browser, place), places_with_kept_adapter(python)
    other = page.context.new_page()
    open_page(other, place.url)
    set_history(page, python, places)
    before = shown(page)
    learn(page)
    expect(other.locator("#learned")).to_contain_text("Learned and kept")
    assert shown(other) == shown(page) != before
    other.locator("#forget").click()
    for each in (page, other):
        expect_nothing_learned(each, python, [python.items[place] for place in places])
    learn(page)
    expect(other.locator("#learned")).to_contain_text("Learned and kept")
    page.context.close()


def test_emptying_the_history_deletes_the_adapter(browser, place, python):
    page, places = open_new_page(browser, place), places_with_kept_adapter(python)
    set_history(page, python, places)
    learn(page)
    while page.locator("#seen li").count() > 1:
        page.locator("#seen [name=remove]").first.click()
    expect(page.locator("#learned")).to_contain_text("Learned and kept")
    page.locator("#seen [name=remove]").click()
    expect_nothing_learned(page, python, [])
    page.context.close()


def test_an_adapter_stored_after_a_deletion_is_discarded(browser, place, python):
    page, places = open_new_page(browser, place), places_with_kept_adapter(python)
    set_history(page, python, places)
    learn(page)
    stored = page.evaluate("Object.entries(localStorage).find(([key]) => key.includes('learned'))")
    page.locator("#forget").click()
    expect(page.locator("#forget")).to_be_hidden()
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", stored)
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)
    expect_nothing_learned(page, python, [python.items[place] for place in places])
    assert page.evaluate("key => localStorage.getItem(key)", stored[0]) is None
    page.context.close()


def test_a_page_from_the_back_forward_cache_rereads_the_storage(page):
    """A cached page receives no storage events of other tabs."""
    tap(page, 3)
    page.evaluate("localStorage.clear()")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("#seen li")).to_have_count(0)


def test_forget_keeps_the_adapters_of_models_that_are_not_shown(browser, model, python, tmp_path):
    whole = bundle.read_bundle(model).model
    rewritten(model, tmp_path / "other.tflite", model_json={**whole, "run": "other"})
    with site(tmp_path / "site", model, tmp_path / "other.tflite") as place:
        page = open_new_page(browser, place)
        set_history(page, python, places_with_kept_adapter(python))
        page.get_by_role("radio", name="Side by side").click()
        expect(page.locator("#learned")).to_contain_text("other: The model can learn")
        page.locator("#learn").click()
        expect(page.locator("#learned")).to_contain_text("other: Learned and kept")
        assert {*stored_adapters(page)} == {whole["run"], "other"}
        page.get_by_role("radio", name="other").click()
        page.locator("#forget").click()
        expect(page.locator("#forget")).to_be_hidden()
        page.reload()
        expect(page.locator("#learned")).to_contain_text("Learned and kept")
        assert {*stored_adapters(page)} == {whole["run"]}
        page.context.close()


def test_a_browser_without_storage_learns_and_forgets(browser, place, python):
    page = browser.new_context(service_workers="block").new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    )
    open_page(page, place.url)
    places = places_with_kept_adapter(python)
    tap(page, *places)
    before = shown(page)
    learn(page)
    assert shown(page) != before
    finish = learn_with_blocked_worker(page)
    page.locator("#forget").click()
    finish()
    expect(page.locator("#learned")).to_contain_text("can learn from up to 30")
    assert shown(page) == before
    page.context.close()


def test_a_failed_worker_is_reported_and_nothing_is_stored(browser, model, python, tmp_path):
    with site(tmp_path / "site", model) as place:
        page = open_new_page(browser, place)
        set_history(page, python, places_with_kept_adapter(python))
        page.route("**/models/*", lambda route: route.fulfill(body="no model"))
        page.locator("#learn").click()
        expect(page.locator("#status")).to_contain_text("Nothing was learned: The model")
        assert stored_adapters(page) == {}
        expect(page.locator("#learn")).to_be_enabled()
        page.context.close()


CALL = """async ([url, calls]) => {
  const { Recommender } = await import('./recommender.js');
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const recommender = await Recommender.load(bytes);
  const answers = [];
  for (const [method, ...given] of calls) {
    const answer = recommender[method](...given);
    answers.push(await answer.catch((error) => `${error.name}: ${error.message}`));
  }
  return answers;
}"""


def test_the_javascript_module_matches_python(browser, place, model, python):
    page = browser.new_page()
    page.goto(f"{place.url}models.json")
    history = [python.items[each] for each in places_with_kept_adapter(python)]
    adapter = json.loads(python.adapt(history).to_json())
    weights = [1.0] * len(history)
    candidates = list(python.items[40:60])
    wrong = {**adapter, "model": "x"}
    calls = [
        ["adapt", [*history, "unknown"]],
        ["adapt", history, {"weights": weights}],
        ["score", history, candidates, {"adapter": adapter}],
        ["adapt", history[:4]],
        ["adapt", history, {"weights": [1]}],
        ["adapt", history, {"weights": [-1] * len(history)}],
        ["recommend", history, 3, {"adapter": wrong}],
        ["recommend", history, 3, {"adapter": {**adapter, "vector": [1]}}],
        ["recommend", history, 3, {"adapter": {**adapter, "vector": [None] * 16}}],
        ["recommend", history, 3, {"adapter": {}}],
    ]
    url = json.loads((place.folder / "models.json").read_text())[0]["path"]
    found = page.evaluate(CALL, [url, calls])
    for answer, wanted in zip(
        found, (python.adapt(history), python.adapt(history, weights=weights)), strict=False
    ):
        np.testing.assert_allclose(answer["vector"], wanted.vector, atol=2e-3)
        assert answer["after"] == pytest.approx(wanted.after, abs=1e-4)
    scores = python.score(history, candidates, adapter=Adapter.from_json(json.dumps(adapter)))
    np.testing.assert_allclose(found[2], scores, atol=1e-4)
    for said, words in zip(
        found[3:],
        [
            f"the model knows 4 of the items, and learning needs at least {LEAST}",
            f"weights has 1 entries for {len(history)} items",
            "a weight is negative or not a finite number",
            "the adapter belongs to the model x, not to this model",
            "the adapter has the shape [1], the model takes [16]",
            "the adapter has values that are not finite numbers",
            "this is not an adapter of format 1",
        ],
        strict=True,
    ):
        assert said.startswith(f"RangeError: {words}"), said
    page.close()
