"""Offline use: the browser caches one complete release, and no data leaves the page."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from demo.exports import choose_exports
from demo.folder import model_path
from tests.browser import open_page, open_rows, recommended_items, site, tap_cards

# Pages in a browser; tests/demo/test_page_recommender.py is the quick test of them.
pytestmark = pytest.mark.slow


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


CACHES = "caches.keys()"
CACHED = """async () => {
  const [name] = await caches.keys();
  return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname.slice(1));
}"""


@pytest.fixture
def server(tmp_path, models):
    with site(tmp_path / "site", models["bow"], models["cnn"]) as server:
        yield server


@pytest.fixture
def page(browser, server):
    context = browser.new_context()
    page = context.new_page()
    open_page(page, server.url)
    expect(page.locator("#offline")).to_be_visible()
    yield page
    context.close()


def reload(page) -> None:
    page.reload()
    expect(page.locator("#lists li")).not_to_have_count(0)


def test_the_page_recommends_after_a_reload_without_the_server(page, server):
    tap_cards(page, 1, 3)
    before = recommended_items(page)
    server.stop()
    reload(page)
    assert recommended_items(page) == before
    tap_cards(page, 5)
    assert recommended_items(page) != before
    # A model that was never shown is cached too.
    page.get_by_role("radio", name="Convolution").click()
    expect(page.locator(".list h3")).to_have_text("Convolution")
    expect(page.locator("#lists li")).to_have_count(10)
    page.goto(f"{server.url}index.html")
    expect(page.locator("#lists li")).to_have_count(10)


def test_any_static_host_works_even_in_a_subfolder(browser, server):
    handler = partial(QuietHandler, directory=str(server.folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever, args=(0.05,))
        thread.start()
        context = browser.new_context()
        page = context.new_page()
        open_page(page, f"http://127.0.0.1:{host.server_port}/{server.folder.name}/")
        expect(page.locator("#offline")).to_be_visible()
        before = recommended_items(page)
        host.shutdown()
        thread.join()
    reload(page)
    assert recommended_items(page) == before
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
    assert {"index.html", "main.js", "models.json", "jaxrec/index.js"} <= set(cached)
    assert {"manifest.webmanifest", "icon.svg", "icon-192.png", "icon-512.png"} <= set(cached)
    assert "icon-maskable-512.png" in cached


def check_for_update(page) -> None:
    """Check for a new release, as the page does when opened and the browser does periodically."""
    page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")


def test_a_new_export_replaces_the_old_and_keeps_the_history(page, server, models):
    tap_cards(page, 2)
    server.publish(models["rnn"])
    check_for_update(page)
    expect(page.locator(".list h3")).to_have_text("Bag of words")
    page.get_by_role("button", name="Update now").click()
    expect(page.locator(".list h3")).to_have_text("LSTM")
    expect(page.locator("#history-list li")).to_have_count(1)
    assert len(page.evaluate(CACHES)) == 1
    (model,) = [name for name in page.evaluate(CACHED) if name.startswith("models/")]
    assert model == model_path(*choose_exports([models["rnn"]]))


def test_a_new_release_is_used_on_the_next_visit(page, server, models):
    server.publish(models["rnn"])
    check_for_update(page)
    expect(page.get_by_role("button", name="Update now")).to_be_visible()
    page.reload()
    expect(page.locator(".list h3")).to_have_text("LSTM")


def test_opening_the_page_checks_for_a_release(page, server, models):
    server.publish(models["rnn"])
    page.reload()
    # It is offered, or used at once if it arrives before anything is shown.
    offered = page.get_by_role("button", name="Update now")
    expect(offered.or_(page.locator(".list h3", has_text="LSTM"))).to_be_visible()


def test_an_update_fetches_only_what_changed(page, server, models):
    server.publish(models["bow"])
    server.requests.clear()
    check_for_update(page)
    expect(page.get_by_role("button", name="Update now")).to_be_visible()
    # Requests for the worker, the release and the list of models.
    assert len(server.requests) == 3


def test_an_old_page_keeps_its_models(page, server, models):
    (old,) = choose_exports([models["cnn"]])
    server.publish(models["bow"], models["rnn"])
    assert not (server.folder / model_path(old)).exists()
    page.get_by_role("radio", name="Convolution").click()
    expect(page.locator(".list h3")).to_have_text("Convolution")
    expect(page.locator("#lists li")).to_have_count(10)


def test_an_incomplete_release_is_not_used(page, server, models):
    before = recommended_items(page)
    server.publish(models["rnn"])
    (new,) = choose_exports([models["rnn"]])
    (server.folder / model_path(new)).write_bytes(new.data[:-1])
    check_for_update(page)
    page.wait_for_timeout(500)
    expect(page.get_by_role("button", name="Update now")).to_be_hidden()
    assert recommended_items(page) == before
    server.stop()
    reload(page)
    assert recommended_items(page) == before


def wait_until_idle(page, server) -> None:
    """Wait until the browser sends no more requests: it checks for a new release by itself."""
    before = -1
    while before != len(server.requests):
        before = len(server.requests)
        page.wait_for_timeout(1000)


def test_use_of_the_page_sends_no_requests(page, server):
    wait_until_idle(page, server)
    requests = []
    page.context.on("request", lambda request: requests.append(request.url))
    server.requests.clear()
    tap_cards(page, *range(12))
    open_rows(page)
    page.get_by_role("button", name="Try without").first.click()
    page.get_by_role("radio", name="Side by side").click()
    page.locator("#search").fill("the")
    page.get_by_role("button", name="Delete my data").click()
    # A model that is shown for the first time is read from the browser's cache.
    assert all(url.startswith(server.url) for url in requests)
    assert [url for url in requests if "/models/" not in url] == []
    # The browser may check for a new release by itself at any time.
    checks = "/service_worker.js", "/release.js"
    assert [path for path in server.requests if path.split("?")[0] not in checks] == []


def test_the_content_security_policy_is_enforced(page, server):
    """A script that is injected into the page cannot send data anywhere."""
    blocked = page.evaluate(
        """async () => {
          const blocked = [];
          addEventListener("securitypolicyviolation", (event) => {
            blocked.push(event.effectiveDirective);
          });
          const otherHost = "http://localhost:9/";
          const attempt = async (act) => { try { await act(); } catch { /* blocked */ } };
          await attempt(() => fetch(otherHost));
          await attempt(() => navigator.sendBeacon(otherHost));
          await attempt(() => new WebSocket("ws://localhost:9/"));
          await attempt(() => new EventSource(otherHost));
          await attempt(() => new Worker("data:text/javascript,1"));
          const add = (tag, properties) =>
            document.body.append(Object.assign(document.createElement(tag), properties));
          add("img", { src: `${otherHost}a.png` });
          add("script", { src: `${otherHost}a.js` });
          add("script", { textContent: "window.inline = true" });
          add("iframe", { src: otherHost });
          add("video", { src: `${otherHost}a.mp4` });
          add("style", { textContent: "body { display: none }" });
          const form = Object.assign(document.createElement("form"), { action: otherHost });
          document.body.append(form);
          form.submit();
          // The browser reports violations later; the form's is the last.
          for (let tries = 0; tries < 100 && !blocked.includes("form-action"); tries += 1) {
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
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
    probe = server.folder / "probe.js"
    probe.write_text("try { new Function('') } catch (error) { window.refused = error.name }")
    page.evaluate("import('./probe.js')")
    assert page.evaluate("window.refused") == "EvalError"


def test_the_worker_has_the_same_policy(page, server):
    response = page.request.get(f"{server.url}service_worker.js")
    policy = response.headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "default-src 'none'" in policy
