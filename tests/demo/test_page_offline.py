"""Offline use: the browser caches one complete release, and no data leaves the page."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from demo.exports import choose_exports
from demo.folder import model_path
from tests.browser import open_page, shown, site, tap


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


CACHES = "caches.keys()"
CACHED = """async () => {
  const [name] = await caches.keys();
  return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname.slice(1));
}"""


@pytest.fixture
def place(tmp_path, models):
    with site(tmp_path / "site", models["bow"], models["cnn"]) as place:
        yield place


@pytest.fixture
def page(browser, place):
    context = browser.new_context()
    page = context.new_page()
    open_page(page, place.url)
    expect(page.locator("#offline")).to_be_visible()
    yield page
    context.close()


def reload(page) -> None:
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)


def test_the_page_recommends_after_a_reload_without_the_server(page, place):
    tap(page, 1, 3)
    before = shown(page)
    place.stop()
    reload(page)
    assert shown(page) == before
    tap(page, 5)
    assert shown(page) != before
    # A model that was never shown is cached too.
    page.get_by_role("radio", name="Convolution").click()
    expect(page.locator(".list h3")).to_have_text("Convolution")
    expect(page.locator("#lists li")).to_have_count(10)
    page.goto(f"{place.url}index.html")
    expect(page.locator("#lists li")).to_have_count(10)


def test_any_static_host_works_even_in_a_subfolder(browser, place):
    handler = partial(QuietHandler, directory=str(place.folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever, args=(0.05,))
        thread.start()
        context = browser.new_context()
        page = context.new_page()
        open_page(page, f"http://127.0.0.1:{host.server_port}/{place.folder.name}/")
        expect(page.locator("#offline")).to_be_visible()
        before = shown(page)
        host.shutdown()
        thread.join()
    reload(page)
    assert shown(page) == before
    context.close()


def test_the_page_can_be_installed(page):
    client = page.context.new_cdp_session(page)
    manifest = client.send("Page.getAppManifest")
    assert manifest["errors"] == []
    found = client.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # All contexts of the tests are incognito.
    assert [each["errorId"] for each in found] == ["in-incognito"]


def test_one_build_of_the_runtime_is_cached(page):
    cached = page.evaluate(CACHED)
    assert len([name for name in cached if name.endswith(".wasm")]) == 1
    assert {"index.html", "page.js", "models.json", "runtime/litert.js"} <= set(cached)


def check_for_update(page) -> None:
    """Check for a new release, as the page does when opened and the browser does periodically."""
    page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")


def test_a_new_export_replaces_the_old_and_keeps_the_history(page, place, models):
    tap(page, 2)
    place.publish(models["rnn"])
    check_for_update(page)
    expect(page.locator(".list h3")).to_have_text("Bag of words")
    page.get_by_role("button", name="Use it now").click()
    expect(page.locator(".list h3")).to_have_text("LSTM")
    expect(page.locator("#seen li")).to_have_count(1)
    assert len(page.evaluate(CACHES)) == 1
    (kept,) = [name for name in page.evaluate(CACHED) if name.startswith("models/")]
    assert kept == model_path(*choose_exports([models["rnn"]]))


def test_a_new_release_is_used_on_the_next_visit(page, place, models):
    place.publish(models["rnn"])
    check_for_update(page)
    expect(page.get_by_role("button", name="Use it now")).to_be_visible()
    page.reload()
    expect(page.locator(".list h3")).to_have_text("LSTM")


def test_opening_the_page_checks_for_a_release(page, place, models):
    place.publish(models["rnn"])
    page.reload()
    # It is offered, or used at once if it arrives before anything is shown.
    offered = page.get_by_role("button", name="Use it now")
    expect(offered.or_(page.locator(".list h3", has_text="LSTM"))).to_be_visible()


def test_an_update_fetches_only_what_changed(page, place, models):
    place.publish(models["bow"])
    place.connections.clear()
    check_for_update(page)
    expect(page.get_by_role("button", name="Use it now")).to_be_visible()
    # Requests for the worker, the release and the list of models.
    assert len(place.connections) == 3


def test_an_old_page_keeps_its_models(page, place, models):
    (old,) = choose_exports([models["cnn"]])
    place.publish(models["bow"], models["rnn"])
    assert not (place.folder / model_path(old)).exists()
    page.get_by_role("radio", name="Convolution").click()
    expect(page.locator(".list h3")).to_have_text("Convolution")
    expect(page.locator("#lists li")).to_have_count(10)


def test_an_incomplete_release_is_not_used(page, place, models):
    before = shown(page)
    place.publish(models["rnn"])
    (new,) = choose_exports([models["rnn"]])
    (place.folder / model_path(new)).write_bytes(new.data[:-1])
    check_for_update(page)
    page.wait_for_timeout(500)
    expect(page.get_by_role("button", name="Use it now")).to_be_hidden()
    assert shown(page) == before
    place.stop()
    reload(page)
    assert shown(page) == before


def wait_for_quiet(page, place) -> None:
    """Wait until the browser sends no more requests: it checks for a new release by itself."""
    before = -1
    while before != len(place.connections):
        before = len(place.connections)
        page.wait_for_timeout(1000)


def test_use_of_the_page_sends_no_requests(page, place):
    wait_for_quiet(page, place)
    requests = []
    page.context.on("request", lambda request: requests.append(request.url))
    place.connections.clear()
    tap(page, *range(12))
    page.get_by_role("button", name="What if not?").first.click()
    page.get_by_role("radio", name="Side by side").click()
    page.locator("#search").fill("the")
    page.get_by_role("button", name="Delete my data").click()
    # A model that is shown for the first time is read from the browser's cache.
    assert all(url.startswith(place.url) for url in requests)
    assert [url for url in requests if "/models/" not in url] == []
    assert place.connections == []


def test_the_content_security_policy_is_enforced(page, place):
    """A script that is injected into the page cannot send data anywhere."""
    blocked = page.evaluate(
        """async () => {
          const blocked = [];
          addEventListener("securitypolicyviolation", (event) => {
            blocked.push(event.effectiveDirective);
          });
          const away = "http://localhost:9/";
          const quietly = async (act) => { try { await act(); } catch { /* blocked */ } };
          await quietly(() => fetch(away));
          await quietly(() => navigator.sendBeacon(away));
          await quietly(() => new WebSocket("ws://localhost:9/"));
          await quietly(() => new EventSource(away));
          await quietly(() => new Worker("data:text/javascript,1"));
          const add = (tag, properties) =>
            document.body.append(Object.assign(document.createElement(tag), properties));
          add("img", { src: `${away}a.png` });
          add("script", { src: `${away}a.js` });
          add("script", { textContent: "window.inline = true" });
          add("iframe", { src: away });
          add("video", { src: `${away}a.mp4` });
          add("style", { textContent: "body { display: none }" });
          const form = Object.assign(document.createElement("form"), { action: away });
          document.body.append(form);
          form.submit();
          await new Promise((resolve) => setTimeout(resolve, 300));
          return blocked;
        }"""
    )
    assert set(blocked) >= {
        *("connect-src", "worker-src", "script-src-elem", "img-src", "frame-src", "media-src"),
        *("style-src-elem", "form-action"),
    }
    # Four ways to connect, each blocked by the policy of the page and by the server's.
    assert blocked.count("connect-src") == 2 * 4
    assert page.evaluate("window.inline") is None
    # Code of the test may evaluate strings; code of the page may not.
    probe = place.folder / "probe.js"
    probe.write_text("try { new Function('') } catch (error) { window.refused = error.name }")
    page.evaluate("import('./probe.js')")
    assert page.evaluate("window.refused") == "EvalError"


def test_the_worker_has_the_same_policy(page, place):
    response = page.request.get(f"{place.url}service_worker.js")
    policy = response.headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "default-src 'none'" in policy
