"""The JavaScript package in a real browser, in all the ways that a page may load it."""

import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.clients.web_pages import HISTORY, MODEL, expected_items, host, write_modules

# Two folders down: pages and modules need not be beside each other.
MODULES = "vendor/lib"

RECOMMEND = """async ([modules, model, history, options]) => {
  const { Recommender } = await import(modules + "jaxrec/src/index.js");
  const recommender = await Recommender.load(model, options ?? {});
  const list = await recommender.recommend(history, 5);
  recommender.close();
  return list.map(({ item }) => item);
}"""

# Returns the name and the message of the error of a load, or "loaded".
LOAD = """async ([modules, model, options]) => {
  const { Recommender } = await import(modules + "jaxrec/src/index.js");
  return Recommender.load(model, options ?? {}).then(
    () => "loaded", (error) => `${error.name}: ${error.message}`);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    write_modules(folder / MODULES)
    shutil.copy(MODEL, folder / "model.tflite")
    (folder / "index.html").write_text("<!doctype html><title>Page</title><body></body>")
    return folder


@pytest.fixture(scope="module")
def url(folder):
    with host(folder) as url:
        yield url


@pytest.fixture
def page(browser, url):
    """Open an empty page in a new context; fail if LiteRT or the page logged an error."""
    context = browser.new_context()
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda each: errors.append(each.text) if each.type == "error" else None)
    page.goto(url)
    yield page
    context.close()
    assert [each for each in errors if "Failed to load resource" not in str(each)] == []


def arguments(url: str, options: dict | None = None) -> list:
    return [f"{url}{MODULES}/", f"{url}model.tflite", HISTORY, options]


def test_plain_modules_find_the_runtime_from_any_folder(page, url):
    assert page.evaluate(RECOMMEND, arguments(url)) == expected_items()


def test_modules_and_model_of_another_origin(page, folder):
    with host(folder, {"Access-Control-Allow-Origin": "*"}) as other:
        assert not page.url.startswith(other)
        assert page.evaluate(RECOMMEND, arguments(other)) == expected_items()


def test_a_page_with_trusted_types(browser, folder):
    policy = "require-trusted-types-for 'script'; trusted-types 'none'"
    policy += "; default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
    with host(folder, {"Content-Security-Policy": policy}) as url:
        page = browser.new_page()
        page.goto(url)
        assert page.evaluate(RECOMMEND, arguments(url)) == expected_items()
        refused = "() => { document.createElement('script').src = 'x.js'; }"
        with pytest.raises(Exception, match="TrustedScriptURL"):
            page.evaluate(refused)
        page.close()


def test_a_browser_without_webgpu(browser, url):
    page = browser.new_page()
    warnings = []
    page.on("console", lambda each: warnings.append(each.text))
    page.add_init_script(
        "delete globalThis.GPUBuffer; delete globalThis.GPUDevice;"
        "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined });"
    )
    page.goto(url)
    assert page.evaluate("[typeof GPUBuffer, typeof navigator.gpu]") == ["undefined"] * 2
    assert page.evaluate(RECOMMEND, arguments(url)) == expected_items()
    assert warnings == []
    page.close()


def test_a_browser_without_relaxed_simd_loads_the_compatible_build(browser, url):
    page, requests = browser.new_page(), []
    page.on("request", lambda request: requests.append(request.url.rpartition("/")[2]))
    page.add_init_script("WebAssembly.validate = () => false")
    page.goto(url)
    assert page.evaluate(RECOMMEND, arguments(url)) == expected_items()
    name = "litert_wasm_compat_internal"
    assert {each for each in requests if "wasm" in each} == {f"{name}.js", f"{name}.wasm"}
    page.close()


WITH_LITERT_JS = """async ([modules, model, history]) => {
  const { loadLiteRt, loadAndCompile, Tensor, unloadLiteRt } =
    await import(modules + "@litertjs/core/dist/index.js");
  const { Recommender } = await import(modules + "jaxrec/src/index.js");
  const start = () => loadLiteRt(modules + "@litertjs/core/wasm/");
  const recommend = async () => {
    const recommender = await Recommender.load(model);
    return (await recommender.recommend(history, 5)).map(({ item }) => item);
  };
  const compile = async () =>
    Object.keys((await loadAndCompile(model, { accelerator: "wasm" })).signatures);
  const results = [];
  if (START_FIRST) await start();
  results.push(await recommend());
  if (!START_FIRST) await start();
  results.push(await compile());
  unloadLiteRt();
  results.push(await recommend());
  return results;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["true", "false"])
def test_a_page_that_uses_litert_js_by_itself(browser, url, first):
    page = browser.new_page()
    page.goto(url)
    page.evaluate(
        """(utils) => {
          const imports = { "@litertjs/wasm-utils": utils };
          const script = document.createElement("script");
          Object.assign(script, { type: "importmap", textContent: JSON.stringify({ imports }) });
          document.head.append(script);
        }""",
        f"/{MODULES}/@litertjs/wasm-utils/dist/index.js",
    )
    script = WITH_LITERT_JS.replace("START_FIRST", first)
    before, signatures, after = page.evaluate(script, arguments(url)[:3])
    assert before == after == expected_items()
    assert {"recommend", "score", "encode"} <= set(signatures)
    page.close()


@pytest.mark.parametrize("ending", ["js", "wasm"])
def test_a_load_after_a_failed_one_succeeds(browser, url, ending):
    page = browser.new_page()
    page.goto(url)
    pattern = f"**/litert_wasm*.{ending}"
    page.route(pattern, lambda route: route.abort())
    failed = page.evaluate(LOAD, [*arguments(url)[:2], None])
    assert failed.startswith(f"LoadError: LiteRT cannot be loaded from {url}{MODULES}/@litertjs/")
    assert f".{ending} (" in failed and failed.endswith("as the option `runtime`")
    assert page.evaluate("typeof define") == "undefined"
    page.unroute(pattern)
    assert page.evaluate(RECOMMEND, arguments(url)) == expected_items()
    page.close()


def test_a_missing_file_is_an_error_that_names_it(browser, url, folder):
    page = browser.new_page()
    page.goto(url)
    modules, model, _, _ = arguments(url)
    assert page.evaluate(LOAD, [modules, "no.tflite"]) == (
        "LoadError: no.tflite cannot be fetched (status 404)"
    )
    # A host that answers with a page for every path.
    page.route("**/fallback/*", lambda route: route.fulfill(body="<!doctype html>"))
    for runtime in ("nowhere", "/fallback/", f"{url}fallback"):
        found = page.evaluate(LOAD, [modules, model, {"runtime": runtime}])
        assert found.startswith(f"LoadError: LiteRT cannot be loaded from {url}"), found
        assert "litert_wasm_internal." in found
    found = page.evaluate(LOAD, [modules, model, {"folder": "x"}])
    assert found == 'TypeError: there is no option "folder"; the options are publicKey, runtime'
    page.close()


def held_by(routes: list[Route]) -> Callable[[Route], None]:
    """Return a handler that delays requests until a test continues them."""
    return lambda route: routes.append(route)


@pytest.mark.slow
def test_other_scripts_see_the_page_s_own_define(browser, url, folder):
    """AMD's `define` is replaced for a moment; a classic script that runs then does not see it."""
    (folder / "umd.js").write_text(
        "(function (make) { if (typeof define === 'function' && define.amd) define([], make);"
        " else globalThis.registered = make(); })(() => 'umd');"
    )
    for own_define in (False, True):
        page, held = browser.new_page(), []
        page.route("**/litert_wasm*.js*", held_by(held))
        page.goto(url)
        if own_define:
            page.evaluate(
                """() => {
                  globalThis.define = (_, make) => { globalThis.calls = make(); };
                  globalThis.define.amd = true;
                }"""
            )
        page.evaluate(
            """async ([modules, model]) => {
              const { Recommender } = await import(modules + "jaxrec/src/index.js");
              globalThis.loading = Recommender.load(model);
            }""",
            arguments(url)[:2],
        )
        while not held:
            page.wait_for_timeout(20)
        page.add_script_tag(url="umd.js")
        for route in held:
            route.continue_()
        registered, calls, kind = page.evaluate(
            """async () => {
              await globalThis.loading;
              return [globalThis.registered ?? null, globalThis.calls ?? null, typeof define];
            }"""
        )
        assert [registered, calls] == ([None, "umd"] if own_define else ["umd", None])
        assert kind == ("function" if own_define else "undefined")
        page.close()
